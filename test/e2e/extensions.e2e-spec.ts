import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAsyncApi, checkOpenApi } from '../docs/document-checks.js';
import { Api } from '../support/api.js';
import { BuiltServer } from '../support/built-server.js';
import { NOTES, TYPE_TESTS, writePackage } from '../support/outside-extension.js';
import { WsClient } from '../support/ws-client.js';

const ROOT = process.cwd();
const ADMIN = { email: 'admin@example.com', password: 'Admin-password-1' };
const PACKAGE = JSON.stringify({ name: 'herald-notes', type: 'module', main: './index.js' });
const folders: string[] = [];
let folder: string;

function temporary(path: string): string {
  folders.push(path);
  return path;
}
beforeAll(() => (folder = temporary(mkdtempSync(join(tmpdir(), 'herald-')))));
afterAll(() => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

const environment = (extensions: string) => ({
  DATABASE_URL: `sqlite:${join(folder, 'herald.sqlite')}`,
  ADMIN_EMAIL: ADMIN.email,
  ADMIN_PASSWORD: ADMIN.password,
  NODE_ENV: 'test',
  HERALD_EXTENSIONS: extensions,
});

/** Type-checks and compiles the package by what the build of Herald offers, and nothing else. */
function compile(packageFolder: string): string {
  const compilerOptions = {
    target: 'es2023',
    module: 'nodenext',
    strict: true,
    experimentalDecorators: true,
    skipLibCheck: true,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
    paths: { 'herald/extension-api': [join(ROOT, 'dist/src/extension-api.d.ts')] },
  };
  writeFileSync(
    join(packageFolder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['index.ts', 'types.ts'] }),
  );
  const { stdout } = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', packageFolder]);
  return stdout.toString();
}

describe('an extension that is a package of its own, outside of this repository', () => {
  let path: string;
  beforeAll(() => {
    path = temporary(writePackage({ 'package.json': PACKAGE, 'index.ts': NOTES, 'types.ts': TYPE_TESTS }));
  });

  it('is checked by the compiler: its own events as well as Herald’s', () => {
    // What must not compile is marked as such, and a mark at what does compile is an error.
    expect(compile(path)).toBe('');
  });

  it('has its table, its routes, its events for those who may see them, its jobs and its check', async () => {
    const server = await BuiltServer.start(environment(path));
    const api = new Api(`${server.url}/api/v1`);
    const admin = (await api.login(ADMIN)).accessToken;
    const user = await api.register();
    const open = async (token: string) => {
      const socket = await WsClient.open(`${server.url.replace('http', 'ws')}/ws`, {});
      socket.send({ type: 'auth', token }, { type: 'subscribe', events: ['note.*', 'logout'] });
      await socket.next(({ type }) => type === 'subscribed');
      return socket;
    };
    const [all, own] = [await open(admin), await open(user.accessToken)];
    expect((await api.get('/notes')).status).toBe(401);
    expect((await api.post('/notes', { text: '' }, user.accessToken)).status).toBe(422);
    expect((await api.post('/notes', { text: 'Milk' }, user.accessToken)).status).toBe(201);
    await all.nextEvent('note.counted');
    await api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    await own.closed;
    expect(all.events).toEqual(['note.created', 'note.counted', 'logout']);
    expect(own.events).toEqual(['note.created', 'logout']);
    const audit = await api.get('/audit?type=note.*', admin);
    expect((audit.body.data.items as { type: string }[]).map(({ type }) => type).toSorted()).toEqual([
      'note.counted',
      'note.created',
    ]);
    expect((await fetch(`${server.url}/readiness`)).status).toBe(200);
    const openApi = await (await fetch(`${server.url}/docs`)).text();
    const { paths } = JSON.parse(openApi) as { paths: Record<string, Record<string, { summary: string }>> };
    expect(paths['/api/v1/notes']?.['post']?.summary).toBe('Write a note');
    expect(paths['/api/v1/notes']?.['get']?.summary).toContain('not documented');
    const asyncApi = await (await fetch(`${server.url}/docs/asyncapi.json`)).text();
    for (const channel of ['stream', 'webhook']) {
      expect(asyncApi).toContain(`"#/channels/${channel}/messages/note.created"`);
    }
    expect(await checkOpenApi(openApi)).toEqual([]);
    expect(await checkAsyncApi(asyncApi)).toEqual([]);
    all.close();
    expect((await server.stop('SIGTERM')).code).toBe(0);
  }, 60_000);

  it('leaves its tables when it is taken out, and the log says so', async () => {
    const server = await BuiltServer.start(environment(''));
    expect(server.output).toContain('the extension \\"notes\\" 1.0.0 was taken out: its tables and what it wrote stay');
    const api = new Api(`${server.url}/api/v1`);
    const admin = (await api.login(ADMIN)).accessToken;
    expect((await api.get('/notes', admin)).status).toBe(404);
    expect((await api.get('/events', admin)).status).toBe(200);
    expect((await server.stop('SIGTERM')).code).toBe(0);
  });
});

describe('an extension that cannot be', () => {
  const API = "import { defineExtension } from 'herald/extension-api';\n";
  const make = (manifest: string, more = '') =>
    temporary(
      writePackage({
        'package.json': PACKAGE,
        'index.js': `${API}${more}class M {}\nexport default defineExtension({ name: 'x', version: '1.0.0', requires: '^0.1.0', module: M, ${manifest} });`,
      }),
    );
  /** A module with a class in one of its lists, in plain JavaScript. */
  const moduleOf = (list: 'controllers' | 'providers', classText: string, decorate = '', imports = '') =>
    make(
      'module: N',
      `import * as h from 'herald/extension-api';
      ${classText}
      const decorate = (decorator, method) => decorator(P.prototype, method, Object.getOwnPropertyDescriptor(P.prototype, method));
      ${decorate};
      class N {}
      h.Module({ ${list}: [P], imports: [${imports}] })(N);\n`,
    );
  const migration = `class Broken1796000000001 { name = 'Broken1796000000001'; async up(runner) { await runner.query('CREATE TABLE "broken" ("a" text)'); await runner.query('nonsense'); } async down() {} }\n`;

  it.each([
    ['of which there is no package', () => 'no-such-package', 'There is no package "no-such-package": install it'],
    [
      'that is misspelt',
      () => 'herald:user-notes',
      'is neither a package nor a path; a shipped extension is written herald/NAME',
    ],
    ['at a path where there is nothing', () => './nowhere', 'There is no extension at'],
    ['that is none', () => temporary(writePackage({ 'package.json': PACKAGE, 'index.js': '' })), 'is no extension'],
    ['made for another Herald', () => make(`requires: '^9.0.0'`), 'is made for Herald ^9.0.0, and this is'],
    ['with a name that is none', () => make(`name: 'A name'`), 'is no name in lower case'],
    ['of which there are two', () => `${make('')},${make('')}`, 'There are two extensions "x"'],
    ['that needs another', () => make(`dependsOn: { y: '^1.0.0' }`), 'needs the extension "y" ^1.0.0, which is not'],
    [
      'with an event that there is',
      () => make(`events: { logout: {}, 'login.failed': {} }`),
      'The extension "x": "logout" is no name for an event',
    ],
    [
      'whose event is Herald’s',
      () => make(`events: { 'login.failed': {} }`),
      'There is an event "login.failed" already',
    ],
    [
      'whose migration fails',
      () => make(`migrations: [Broken1796000000001]`, migration),
      'The migration Broken1796000000001 failed, and nothing of it was kept',
    ],
    [
      'whose route is Herald’s',
      () => moduleOf('controllers', 'class P { me() {} }', `h.Controller('users')(P); decorate(h.Get('me'), 'me')`),
      'The route GET /api/v1/users/me is declared twice: give the one in the extension "x" another path.',
    ],
    [
      'whose job type is Herald’s',
      () => moduleOf('providers', 'class P {}', '', `h.JobsModule.forFeature({ 'mail.send': {} })`),
      'The job type "mail.send" is declared twice: rename one of them.',
    ],
    [
      'that handles a job that Herald handles',
      () => moduleOf('providers', 'class P { send() {} }', `decorate(h.JobHandler('mail.send'), 'send')`),
      `@JobHandler('mail.send') on Mailer.send and @JobHandler('mail.send') on P.send: only one of them can be`,
    ],
    [
      'whose provider needs what nobody provides',
      () =>
        moduleOf('providers', 'class Nothing {} class P { constructor(a) {} }', 'h.Inject(Nothing)(P, undefined, 0)'),
      'The extension "x": P needs Nothing as argument 1 of its constructor, and nobody provides it: add it to',
    ],
    [
      'whose module throws',
      () => moduleOf('providers', `class P { async onModuleInit() { throw new Error('no luck'); } }`),
      'The extension "x" failed to start: no luck (P, file:///',
    ],
    [
      'whose provider throws',
      () => moduleOf('providers', `class P { constructor() { throw new Error('no luck'); } }`),
      'The extension "x" failed to start: no luck (P, file:///',
    ],
    ['that throws when it is read', () => make('', `throw new Error('no luck');`), 'cannot be read: no luck'],
    [
      'that Herald does not ship',
      () => 'herald/nothing',
      'Herald ships no extension "herald/nothing". Those it ships:',
    ],
  ])('%s stops the start with a sentence that mends it', async (_name, extensions, sentence) => {
    const database = `sqlite:${join(temporary(mkdtempSync(join(tmpdir(), 'herald-'))), 'herald.sqlite')}`;
    const server = BuiltServer.spawn({ ...environment(extensions()), DATABASE_URL: database });
    expect((await server.exited).code).toBe(1);
    expect(server.output).toContain(sentence);
    expect(server.output).not.toMatch(/^\s+at /m);
  });
});
