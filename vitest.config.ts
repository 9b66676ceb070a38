import { defineConfig } from 'vitest/config';

/** What holds on both databases: the same files run once more on PostgreSQL. */
const ON_BOTH = [
  'auth',
  'users',
  'admin-users',
  'api-keys',
  'mfa',
  'email-tokens',
  'identity-abuse',
  'identity-attacks',
  'fifteen-events',
  'visibility',
  'event-log',
  'revocation',
  'websocket',
  'sse',
  'audit',
  'health',
  'overview',
  'extension-handlers',
  'extension-security-alerts',
  'extension-user-notes',
  'unit-of-work',
  'jobs',
  'mail',
  'metrics',
  'webhooks',
].map((name) => `test/e2e/${name}.e2e-spec.ts`);

const shared = {
  testTimeout: 20_000,
  hookTimeout: 30_000,
  // A worker loads Nest and TypeORM once, which takes as long as many a file's tests; what is ours begins anew with each file.
  isolate: false,
  setupFiles: ['test/support/begin-anew.ts'],
  // It remembers the highest time that it has seen, and tests move the clock: it begins anew too.
  server: { deps: { inline: ['uuid'] } },
};

export default defineConfig({
  test: {
    // Two cores: more workers only make the servers of the e2e files wait for each other.
    maxWorkers: 2,
    globalSetup: ['test/support/log-audit.ts'],
    projects: [
      {
        test: {
          ...shared,
          name: 'sqlite',
          include: ['{src,test}/**/*.spec.ts', 'test/**/*.e2e-spec.ts'],
          exclude: ['test/{postgres,cluster}/**'],
        },
      },
      {
        test: {
          ...shared,
          name: 'postgres',
          env: { HERALD_TEST_ENGINE: 'postgres' },
          include: [...ON_BOTH, 'test/{postgres,cluster}/**/*.e2e-spec.ts'],
          globalSetup: ['test/support/postgres-setup.ts'],
        },
      },
    ],
  },
});
