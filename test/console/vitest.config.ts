import { defineConfig } from 'vitest/config';

/** What takes pictures is no test: it is asked for by name. */
export default defineConfig({ test: { include: ['test/console/screenshots.ts'] } });
