import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/config.js';
import { settingsOf } from '../../src/database/data-source-options.js';
import { openReader } from '../../src/database/open-reader.js';
import { SecretCipher } from '../../src/database/secret-cipher.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { chainKeyFrom, type ChainReport } from '../../src/events/audit-chain.js';
import { AuditTrail, verifyTrail } from '../../src/events/audit-trail.service.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventRow } from '../../src/events/event.entity.js';
import { EventJournal } from '../../src/events/event-journal.service.js';
import { onPostgres, TestDatabase } from '../support/database.js';

describe('npm run audit:verify', () => {
  const fileOf = ({ environment: { DATABASE_URL = '' } }: TestDatabase) => DATABASE_URL.replace('sqlite:', '');
  const DATA_KEY = Buffer.alloc(32, 9).toString('base64');
  const COUNT = 12;
  let database: TestDatabase;
  let environment: Record<string, string>;
  beforeEach(async () => {
    database = await TestDatabase.create();
    environment = { ...database.environment, NODE_ENV: 'test', LOG_LEVEL: 'silent', DATA_KEY };
    const app = await createApp(loadConfig(environment));
    for (let n = 0; n < COUNT; n += 1) {
      if (n % 3 === 0) await app.get(AuditTrail).record('job.retried', { subject: `job-${n}`, details: { n } });
      else await app.get(EventBus).publish('login.failed', { email: `${n}@example.com` });
    }
    await app.close();
    // SQLite remembers how far the table ever went; on PostgreSQL the readers do, of which none has started here.
    if (onPostgres) await tamper(`INSERT INTO event_cursors (reader, seq, since) VALUES ('live', ${COUNT}, 0)`);
  });
  afterEach(() => database.remove());

  async function verify(...extra: string[]): Promise<{ code: number; output: string }> {
    const env = { ...process.env, ...environment };
    try {
      const { stdout } = await promisify(execFile)('node', ['dist/src/audit/verify.js', ...extra], { env });
      return { code: 0, output: stdout };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, output: stdout + stderr };
    }
  }
  /** The same without a process of its own. */
  async function broken(): Promise<ChainReport['broken']> {
    const config = loadConfig(environment);
    const source = await openReader(settingsOf(config, { entities: [EventRow] }));
    try {
      return (await verifyTrail(source, chainKeyFrom(new SecretCipher(config)))).broken;
    } finally {
      await source.destroy();
    }
  }
  const tamper = (sql: string) => database.tamper(sql);

  it('says that an untouched chain holds, and how it ends', async () => {
    const { code, output } = await verify();
    expect([code, output]).toEqual([
      0,
      expect.stringMatching(/^The chain holds: 12 rows\. Head evt-[^ ]+:[\w-]{43}\n$/),
    ]);
    const head = /Head (.+)/.exec(output)?.[1] ?? '';
    expect(await verify('--head', head)).toEqual({ code: 0, output });
    expect((await verify('--head', `${head}x`)).code).toBe(1);
  });

  it.each([
    ['a changed payload', `UPDATE events SET payload = '{"email":"me@example.com"}' WHERE seq = 5`, 5, 'changed'],
    ['a changed actor', `UPDATE events SET "actorId" = 'somebody' WHERE seq = 5`, 5, 'changed'],
    ['a changed outcome', `UPDATE events SET outcome = 'success' WHERE seq = 5`, 5, 'changed'],
    ['changed details', `UPDATE events SET details = '{"n":9}' WHERE seq = 7`, 7, 'changed'],
    ['a hidden event', `UPDATE events SET published = false WHERE seq = 5`, 5, 'changed'],
    ['a removed row', `DELETE FROM events WHERE seq = 5`, 6, 'does not follow'],
    ['a row at another place', `UPDATE events SET seq = 50 WHERE seq = 5`, 6, 'does not follow'],
    ['the oldest rows removed', `DELETE FROM events WHERE seq < 4`, 4, 'not retention'],
    ['the newest rows removed', `DELETE FROM events WHERE seq > 9`, 10, 'are gone'],
    ['hashes taken away', `UPDATE events SET hash = NULL, "previousHash" = NULL WHERE seq < 4`, 4, 'lost their hashes'],
    ['a hash taken away', `UPDATE events SET hash = NULL WHERE seq = 6`, 6, 'no hash'],
    [
      'two rows exchanged',
      `UPDATE events SET seq = 99 WHERE seq = 5; UPDATE events SET seq = 5 WHERE seq = 6; UPDATE events SET seq = 6 WHERE seq = 99`,
      5,
      'does not follow',
    ],
  ])('names the first broken row: %s', async (_, statement, seq, reason) => {
    await tamper(statement);
    expect(await broken()).toMatchObject({ seq, reason: expect.stringContaining(reason) });
  });

  it('names it to whoever asks', async () => {
    await tamper(`UPDATE events SET "actorId" = 'somebody' WHERE seq = 5`);
    const { code, output } = await verify();
    expect([code, output]).toEqual([
      1,
      expect.stringMatching(/^BROKEN at row 5, evt-[^ ]+: it was changed.*\nThe 4 rows before it hold\.\n$/),
    ]);
  });

  const FORGED = `INSERT INTO events (seq, id, type, subject, timestamp, payload, published, outcome)
    VALUES (1, 'evt-forged', 'user.deleted', 'x', '2020-01-01T00:00:00.000Z', '{}', true, 'success')`;
  const NULL_OUT = `UPDATE events SET hash = NULL, "previousHash" = NULL`;

  describe.each(['the running service', 'a service that was started again'])(
    'finds what was done to the table also behind the next act of %s',
    (who) => {
      it.each([
        ['the newest rows removed', 'DELETE FROM events WHERE seq > 9', 13],
        ['everything removed', 'DELETE FROM events', 13],
        // SQLite remembers where the next row belongs.
        ['a forged beginning', `UPDATE events SET seq = seq + 1000; ${FORGED}`, onPostgres ? 1001 : 13],
        ['every hash but one taken away', `${NULL_OUT} WHERE seq < 12`, 12],
        ['the newest row changed', `UPDATE events SET "actorId" = 'x', hash = 'x' WHERE seq = 12`, 12],
      ])('%s', async (_, statements, seq) => {
        const app = await createApp(loadConfig(environment));
        const act = (on: typeof app) => on.get(EventBus).publish('login.failed', { email: 'later@example.com' });
        // One more of its own, so that it knows what it has written.
        if (who === 'the running service') await act(app);
        else await app.close();
        const moved = who === 'the running service' ? 1 : 0;
        await tamper(statements.replaceAll('12', String(12 + moved)));
        const next = who === 'the running service' ? app : await createApp(loadConfig(environment));
        await act(next);
        await next.close();
        expect(await broken()).toMatchObject({ seq: seq > 1000 ? seq : seq + moved });
      });
    },
  );

  it('every hash taken away is found by the running service’s next act', async () => {
    const app = await createApp(loadConfig(environment));
    await app.get(EventBus).publish('login.failed', { email: 'later@example.com' });
    await tamper(NULL_OUT);
    await app.get(EventBus).publish('login.failed', { email: 'later@example.com' });
    await app.close();
    expect(await broken()).toMatchObject({ seq: 14 });
  });

  it('follows more than one page, to the row that is broken', async () => {
    const app = await createApp(loadConfig(environment));
    await app.get(UnitOfWork).run(async () => {
      for (let n = 0; n < 700; n += 1) await app.get(EventBus).publish('login.failed', { email: `${n}@example.com` });
    });
    expect(await app.get(AuditTrail).verify()).toMatchObject({ count: 712, broken: null });
    await tamper(`UPDATE events SET subject = 'x' WHERE seq = 650`);
    expect(await app.get(AuditTrail).verify()).toMatchObject({ count: 649, broken: { seq: 650 } });
    await app.close();
  });

  it('lets a database that is older than the chain begin it, and nobody else', async () => {
    await tamper(NULL_OUT);
    const app = await createApp(loadConfig(environment));
    await app.init();
    await app.get(EventBus).publish('login.failed', { email: 'later@example.com' });
    await app.close();
    expect(await verify()).toMatchObject({ code: 0, output: expect.stringContaining('The chain holds: 14 rows') });
    await tamper(`${NULL_OUT} WHERE seq = 13`);
    expect(await broken()).toMatchObject({ seq: 14 });
  });

  it('is told the right key, and what to compare with', async () => {
    expect(await verify('--head', 'evt-x')).toMatchObject({ code: 2, output: expect.stringContaining('ID:HASH') });
    const key = process.env['DATA_KEY'];
    expect(key).toBeUndefined();
    const { DATA_KEY: _, ...env } = { ...process.env, ...environment };
    const run = promisify(execFile)('node', ['dist/src/audit/verify.js'], { env });
    await expect(run).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('DATA_KEY is not set') });
    if (!onPostgres) expect(existsSync(`${fileOf(database)}.data-key`)).toBe(false);
  });

  it('finds a chain that was made anew without the key, and holds after retention', async () => {
    const another = Buffer.alloc(32, 1).toString('base64');
    const app = await createApp(loadConfig({ ...environment, DATA_KEY: another }));
    await app.get(EventBus).publish('login.failed', { email: 'forged@example.com' });
    await app.close();
    expect(await broken()).toMatchObject({ seq: 13, reason: expect.stringContaining('changed') });
    await tamper('DELETE FROM events WHERE seq = 13');
    if (!onPostgres) await tamper(`UPDATE sqlite_sequence SET seq = 12 WHERE name = 'events'`);

    const real = await createApp(loadConfig(environment));
    expect(await real.get(EventJournal).removeBefore('9999-01-01', 6)).toBe(6);
    await real.close();
    expect(await verify()).toMatchObject({ code: 0, output: expect.stringContaining('The chain holds: 7 rows') });
    await tamper('DELETE FROM events WHERE seq = 7');
    expect(await broken()).toMatchObject({ seq: 8, reason: expect.stringContaining('not retention') });
  });

  it('says what is missing where there is no database', async () => {
    if (onPostgres) environment['DATABASE_URL'] += '_gone';
    else rmSync(fileOf(database));
    const output = expect.stringMatching(/There is no database at|database "\w+_gone" does not exist/);
    expect(await verify()).toMatchObject({ code: 2, output });
  });
});
