import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Api, type TestUser } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { ADMIN, TestServer } from '../support/server.js';

const run = promisify(execFile);
const DATA_KEY = Buffer.alloc(32, 9).toString('base64');

/** `npm run backup -- FILE`, and the way back. */
describe('the backup', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let file: string;
  const servers: BuiltServer[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
    file = join(folder.path, 'herald.sqlite');
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop('SIGKILL')));
    folder.remove();
  });

  async function start(database: string): Promise<Api> {
    const server = await BuiltServer.start({
      DATABASE_URL: `sqlite:${database}`,
      DATA_KEY,
      RATE_LIMIT_MAX: '0',
      AUTH_RATE_LIMIT_MAX: '0',
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
    });
    servers.push(server);
    return new Api(`${server.url}/api/v1`);
  }

  /** Runs a command of the build on a database, as `npm run` does. */
  async function command(script: string, database: string, ...words: string[]) {
    const env = { PATH: process.env['PATH'], DATABASE_URL: `sqlite:${database}`, DATA_KEY };
    return run(process.execPath, [`dist/src/${script}.js`, ...words], { env }).then(
      ({ stdout }) => ({ code: 0, said: stdout }),
      (error: { code: number; stderr: string }) => ({ code: error.code, said: error.stderr }),
    );
  }

  it('of a service under load has every act that was acknowledged before it began, and starts again', async () => {
    const api = await start(file);
    const known: TestUser[] = [];
    const load = { over: false };
    const writer = async (): Promise<void> => {
      while (!load.over) {
        const user = await api.register();
        known.push(user);
        await api.post('/auth/login', { email: user.email, password: 'Wrong-password-1' });
      }
    };
    const writers = [writer(), writer(), writer(), writer()];
    await expect.poll(() => known.length, { timeout: 15_000 }).toBeGreaterThan(20);
    const acknowledged = [...known];
    const copy = join(folder.path, 'backup.sqlite');
    expect(await command('database/backup', file, copy)).toEqual({
      code: 0,
      said: expect.stringMatching(/^Copied .+ to .+backup\.sqlite: \d+ bytes in [\d.]+ s, its integrity checked\./),
    });
    // The service went on meanwhile, and goes on.
    const during = known.length;
    await expect.poll(() => known.length, { timeout: 15_000 }).toBeGreaterThan(during + 4);
    load.over = true;
    await Promise.all(writers);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder.path).filter((name) => name.includes('partial'))).toEqual([]);

    const place = join(folder.path, 'restored');
    mkdirSync(place);
    const restored = join(place, 'herald.sqlite');
    copyFileSync(copy, restored);
    expect(await command('audit/verify', restored)).toMatchObject({ code: 0 });
    // Closing it counts what should not be there, and follows the chain once more.
    const again = await TestServer.start({ DATABASE_URL: `sqlite:${restored}`, DATA_KEY });
    for (const { refreshToken } of acknowledged) {
      expect((await again.api.post('/auth/refresh', { refreshToken })).status).toBe(200);
    }
    const admin = (await again.api.login(ADMIN)).accessToken;
    const newest = async () => (await again.api.get('/audit?limit=1', admin)).body.data.items[0] as { id: string };
    const before = await newest();
    await again.api.register();
    expect((await newest()).id > before.id).toBe(true);
    await again.close();
  });

  it('says in one sentence why there is none, and leaves nothing behind', async () => {
    const missing = join(folder.path, 'nothing.sqlite');
    const refusal = async (database: string, ...words: string[]) => {
      const { code, said } = await command('database/backup', database, ...words);
      expect(code).toBe(1);
      expect(said.trim().split('\n')).toHaveLength(1);
      return said;
    };
    expect(await refusal(missing, join(folder.path, 'copy'))).toContain(`There is no database at ${missing}`);
    writeFileSync(file, 'this is no database, and it is longer than the header of one'.repeat(20));
    expect(await refusal(file)).toContain('npm run backup -- FILE');
    expect(await refusal(file, file)).toContain('exists already');
    expect(await refusal(file, join(folder.path, 'no', 'folder'))).toContain('There is no folder');
    expect(await refusal(file, join(folder.path, 'copy'))).toContain('The database is damaged, or is none');
    expect(readdirSync(folder.path)).toEqual(['herald.sqlite']);
    expect(existsSync(missing)).toBe(false);
  });
});
