import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{src,test}/**/*.spec.ts', 'test/**/*.e2e-spec.ts'],
    globalSetup: ['test/support/log-audit.ts'],
    // Two cores: more workers only make the servers of the e2e files wait for each other.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
});
