import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventRow } from '../../src/events/event.entity.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { TestDatabase } from '../support/database.js';
import { TestServer } from '../support/server.js';

const run = promisify(execFile);

/** What is run beside the service, on PostgreSQL. */
describe('the commands', () => {
  let server: TestServer;
  let database: TestDatabase;
  beforeAll(async () => {
    database = await TestDatabase.create();
    server = await TestServer.start(database.environment);
    for (let n = 0; n < 3; n += 1) await server.api.register();
  });
  afterAll(async () => {
    await server.close();
    await database.remove();
  });

  async function command(script: string, words: string[] = [], environment: Record<string, string> = {}) {
    const env = { PATH: process.env['PATH'], ...database.environment, ...environment };
    return run(process.execPath, [`dist/src/${script}.js`, ...words], { env }).then(
      ({ stdout }) => ({ code: 0, said: stdout }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, said: stdout + stderr }),
    );
  }

  it('audit:verify follows the chain while the service runs, and finds what was changed', async () => {
    const held = await command('audit/verify');
    expect(held).toMatchObject({ code: 0, said: expect.stringMatching(/^The chain holds: \d+ rows\. Head evt-/) });
    const head = held.said.trim().split('Head ')[1] ?? '';
    await server.api.register();
    expect(await command('audit/verify', ['--head', head])).toMatchObject({ code: 0 });
    const write = async (ip: string | null) =>
      server.app.get(UnitOfWork).run((tx) => tx.update(EventRow, { seq: 2 }, { ip }));
    const { ip } = await server.app.get(UnitOfWork).run((tx) => tx.findOneByOrFail(EventRow, { seq: 2 }));
    await write('192.0.2.1');
    expect(await command('audit/verify')).toMatchObject({ code: 1, said: expect.stringMatching(/^BROKEN at row 2, /) });
    await write(ip);
    expect(await command('audit/verify')).toMatchObject({ code: 0 });
  });

  it('audit:verify says what it could not look at, and never the password', async () => {
    const url = new URL(server.databaseUrl);
    url.pathname = '/nowhere';
    const { code, said } = await command('audit/verify', [], { DATABASE_URL: url.href });
    expect([code, said]).toEqual([2, 'The audit trail could not be verified: database "nowhere" does not exist\n']);
    url.password = 'Top-secret-1';
    expect((await command('audit/verify', [], { DATABASE_URL: url.href })).said).not.toContain('Top-secret-1');
  });

  it('backup leaves it to the tool of PostgreSQL', async () => {
    expect(await command('database/backup', ['herald.sqlite'])).toEqual({
      code: 1,
      said: 'No backup was made: PostgreSQL brings a tool for that: pg_dump (docs/operations.md)\n',
    });
  });
});
