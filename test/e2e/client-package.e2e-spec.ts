import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/built-server.js';
import { TestServer } from '../support/server.js';

const APP = `
import { HeraldClient, type Gap, type Tokens } from 'herald-client';

declare module 'herald-client' {
  interface HeraldEvents {
    'note.created': { userId: string; noteId: string };
  }
}

const client = new HeraldClient({ url: 'https://herald.example.com', auth: { accessToken: '', refreshToken: '' } });
client.on('note.created', ({ payload }) => payload.noteId.length);
client.on('note.*', ({ type }) => type satisfies 'note.created');
client.on('login.failed', ({ payload }) => payload.email.length);
// @ts-expect-error -- this payload has no userId
client.on('login.failed', ({ payload }) => payload.userId);
// @ts-expect-error -- unknown event
client.on('login.exploded', () => undefined);
client.onState((state) => (state.status === 'waiting' ? state.retryAt.toFixed() : undefined));
client.onGap(({ reason }: Gap) => reason satisfies 'retention' | 'cursor' | 'unknown');
export const tokens: Promise<Tokens> = client.api.post<Tokens>('/auth/login', { email: '', password: '' });
`;

/** In a page, and in Node: neither has the types of the other. */
const PLACES = {
  browser: { lib: ['es2022', 'dom'], types: [] as string[] },
  node: { lib: ['es2023'], types: ['node'] },
};

describe('the package herald-client', () => {
  const folder = temporaryFolder();
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
    const out = execFileSync('npm', ['pack', '--json', '--pack-destination', folder.path], { cwd: 'dist/client' });
    const [{ filename }] = JSON.parse(out.toString()) as [{ filename: string }];
    const installed = join(folder.path, 'node_modules', 'herald-client');
    mkdirSync(installed, { recursive: true });
    execFileSync('tar', ['-xzf', join(folder.path, filename), '--strip-components=1', '-C', installed]);
    writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
  });
  afterAll(async () => {
    await server.close();
    folder.remove();
  });

  it('needs no other, and carries its README and the licence', () => {
    const read = (name: string) => readFileSync(join(folder.path, 'node_modules/herald-client', name), 'utf8');
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const manifest = JSON.parse(read('package.json')) as Record<string, unknown>;
    expect([manifest['version'], manifest['dependencies']]).toEqual([version, undefined]);
    expect(read('README.md')).toContain('# Herald client');
    expect(read('LICENSE')).toContain('MIT');
  });

  it.each(Object.entries(PLACES))(
    'has types that check an app in a %s, with events of its own',
    (name, place) => {
      const strict = {
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        module: 'nodenext',
        target: 'es2022',
      };
      const compilerOptions = { ...strict, typeRoots: [resolve('node_modules/@types')], ...place };
      writeFileSync(join(folder.path, `${name}.ts`), APP);
      writeFileSync(join(folder.path, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [`${name}.ts`] }));
      const { stdout } = spawnSync('node', [resolve('node_modules/typescript/bin/tsc'), '-p', folder.path]);
      expect(stdout.toString()).toBe('');
    },
    60_000,
  );

  it('runs in Node as docs/client.md shows it, and ends when it is closed', async () => {
    const [, program = ''] = /```js\n([^]*?)```/.exec(readFileSync('docs/client.md', 'utf8')) ?? [];
    writeFileSync(join(folder.path, 'program.js'), program);
    const { email, password, accessToken } = await server.api.register();
    const child = spawn(process.execPath, ['program.js', server.url, email, password], { cwd: folder.path });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = new Promise((resolvePromise) => child.on('close', resolvePromise));
    await expect.poll(() => output, { timeout: 10_000 }).toContain('live');
    await server.restart();
    await expect.poll(() => output, { timeout: 15_000 }).toMatch(/live[^]*live/);
    await server.api.post('/auth/login', { email, password: 'x' });
    const change = { password: 'Another-horse-2', currentPassword: password };
    // The program is logged in elsewhere, so its session ends; its handler hears of it first, and closes the client.
    await server.api.patch('/users/me', change, accessToken);
    expect(await ended).toBe(0);
    const said = output
      .replaceAll(/^\S+Z /gm, '')
      .trim()
      .split('\n');
    expect(said).toEqual([
      'connecting',
      'live',
      'waiting',
      'connecting',
      'live',
      'login.failed',
      'password.changed',
      'stopped',
    ]);
  }, 30_000);
});
