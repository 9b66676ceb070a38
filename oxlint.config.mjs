/**
 * The lint rules, the import rules of the rooms among them (CONTRIBUTING.md shows the same table in words).
 *
 * A rule set for a file replaces the one before it as a whole, so each room's list is put together here.
 */

/** What each room may import beside `common/` and itself. */
const foundation = ['config', 'telemetry', 'database', 'events', 'jobs'];
const features = ['auth', 'users', 'mfa', 'api-keys'];
const readers = ['realtime', 'webhooks', 'mail', 'audit'];
const doors = ['admin', 'health', 'metrics', 'docs', 'console', 'client-script'];
const rooms = {
  common: [],
  config: [],
  telemetry: ['config'],
  database: ['config', 'telemetry'],
  events: ['config', 'telemetry', 'database'],
  jobs: ['config', 'telemetry', 'database', 'events'],
  users: foundation,
  auth: [...foundation, 'users'],
  mfa: [...foundation, 'users'],
  'api-keys': [...foundation, 'users'],
  ...Object.fromEntries(readers.map((room) => [room, [...foundation, 'auth']])),
  ...Object.fromEntries(doors.map((room) => [room, [...foundation, ...features, ...readers]])),
  // The contract and the loader; what is in folders of its own imports extension-api.ts alone.
  extensions: [...foundation, 'auth', 'health', 'mail', 'webhooks'],
  // A package of its own, for browsers; it imports nothing else, and nothing imports it.
  client: [],
};

const eventEmitter = {
  group: ['eventemitter2', '@nestjs/event-emitter'],
  message: 'EventEmitter2 belongs to events/event-bus.ts alone: publish and subscribe through the EventBus.',
};
const typeorm = {
  group: ['typeorm', '@nestjs/typeorm'],
  message: 'TypeORM belongs to entities, database/ and the service that owns the entity.',
};
const everywhere = [
  { group: ['**/index.js', '**/index'], message: 'No barrels: import the file itself.' },
  {
    group: ['@nestjs/common'],
    importNames: ['forwardRef'],
    message: 'A cycle of modules: turn one of the two into an event.',
  },
];
const roots = {
  group: ['**/app.module.js', '**/app.setup.js', '**/app.entities.js', '**/main.js'],
  message: 'The composition root imports the rooms, never the other way round.',
};

const restrict = (patterns) => ({ 'no-restricted-imports': ['error', { patterns: [...everywhere, ...patterns] }] });

function patternsOf(room) {
  const allowed = new Set(['common', room, ...rooms[room]]);
  const forbidden = Object.keys(rooms).filter((other) => !allowed.has(other));
  const message = `${room}/ may import only: ${['common', ...rooms[room]].join(', ')}.`;
  return [roots, { group: forbidden.map((other) => `**/${other}/**`), message }];
}

/** Where TypeORM is at home in a room. */
const ownsTables = (room) =>
  room === 'database' ? 'src/database/**/*.ts' : `src/${room}/**/*.{entity,service,module}.ts`;

export default {
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise', 'node'],
  env: { node: true, es2024: true },
  categories: { correctness: 'error', suspicious: 'error', perf: 'error' },
  ignorePatterns: ['dist', 'data', 'templates'],
  rules: {
    'import/no-cycle': 'error',
    'import/no-unassigned-import': ['error', { allow: ['reflect-metadata', '**/*.css'] }],
    'no-console': 'error',
    'node/no-process-env': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    // Following it would break dependency injection, which needs the class at run time.
    'typescript/consistent-type-imports': 'off',
    // Nest modules are classes that hold only decorators.
    'typescript/no-extraneous-class': 'off',
    // One thing after the other is what a journal and a queue are about.
    'no-await-in-loop': 'off',
    'typescript/no-unsafe-type-assertion': 'off',
    'promise/always-return': 'off',
    'oxc/no-map-spread': 'off',
    'unicorn/consistent-function-scoping': 'off',
    ...restrict([eventEmitter, typeorm]),
  },
  overrides: [
    ...Object.keys(rooms).flatMap((room) => [
      { files: [`src/${room}/**/*.ts`], rules: restrict([...patternsOf(room), eventEmitter, typeorm]) },
      { files: [ownsTables(room)], rules: restrict([...patternsOf(room), eventEmitter]) },
    ]),
    {
      files: ['src/extensions/*/**/*.ts'],
      rules: restrict([
        {
          group: ['../**', '!../../extension-api.js'],
          message: 'An extension imports extension-api.js and nothing else of Herald.',
        },
        {
          group: ['@nestjs/**', 'typeorm', 'typeorm/**', 'zod', 'zod/**', 'eventemitter2'],
          message: 'Comes through extension-api.js, so that an extension runs on the copy that Herald runs on.',
        },
      ]),
    },
    {
      files: ['src/client/**/*.ts'],
      rules: restrict([
        {
          regex: '^([^.]|\\.\\.)',
          message: 'The client is a package of its own: it imports nothing but its own files.',
        },
      ]),
    },
    // What an extension is made of comes through here.
    { files: ['src/extension-api.ts'], rules: restrict([eventEmitter]) },
    { files: ['src/extensions/extension.ts'], rules: restrict([...patternsOf('extensions'), eventEmitter]) },
    { files: ['src/events/event-bus.ts'], rules: restrict([...patternsOf('events'), typeorm]) },
    { files: ['src/events/events.module.ts'], rules: restrict(patternsOf('events')) },
    {
      // The page talks to the service as any client does.
      files: ['src/console/app/**/*.{ts,tsx}'],
      rules: restrict([
        { group: ['../**', '!**/client/herald-client.js'], message: 'The page imports itself and the client only.' },
      ]),
    },
    { files: ['src/config/**/*.ts'], rules: { 'node/no-process-env': 'off' } },
    {
      files: ['test/**/*.{ts,mjs}', '**/*.spec.ts', 'ormconfig.ts'],
      rules: {
        'no-restricted-imports': 'off',
        'node/no-process-env': 'off',
        'no-underscore-dangle': 'off',
        'typescript/unbound-method': 'off',
      },
    },
  ],
};
