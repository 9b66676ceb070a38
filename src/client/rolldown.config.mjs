import { readFileSync } from 'node:fs';
import { defineConfig } from 'rolldown';

const root = new URL('../../', import.meta.url);
const { version, license, engines } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));

/** What `npm pack` needs beside the code; the types come from tsc. */
const manifest = {
  name: 'herald-client',
  version,
  description: "Herald's events, live, in browsers and Node: typed, without gap or repeat.",
  license,
  type: 'module',
  sideEffects: false,
  engines,
  exports: {
    '.': { types: './herald-client.d.ts', default: './herald-client.js' },
    './client.min.js': './client.min.js',
    './package.json': './package.json',
  },
  files: ['*.js', '*.d.ts'],
};

const besideTheCode = {
  name: 'beside-the-code',
  generateBundle() {
    const copy = (fileName, from) =>
      this.emitFile({ type: 'asset', fileName, source: readFileSync(new URL(from, root), 'utf8') });
    copy('README.md', 'src/client/README.md');
    copy('LICENSE', 'LICENSE');
    this.emitFile({ type: 'asset', fileName: 'package.json', source: `${JSON.stringify(manifest, null, 2)}\n` });
  },
};

const options = { input: 'src/client/herald-client.ts', platform: 'neutral', transform: { target: 'es2022' } };

export default defineConfig([
  { ...options, plugins: [besideTheCode], output: { file: 'dist/client/herald-client.js' } },
  // What the service serves at /client.js.
  { ...options, output: { file: 'dist/client/client.min.js', minify: true } },
]);
