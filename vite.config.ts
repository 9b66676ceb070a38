import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** The build of the console's page; the tests have a configuration of their own. */
export default defineConfig({
  root: fileURLToPath(new URL('src/console/app', import.meta.url)),
  base: '/console/',
  envDir: false,
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('dist/console', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    // The page's policy takes nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
