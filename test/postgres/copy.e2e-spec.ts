import { randomBytes } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.js';
import { copyDatabase } from '../../src/copy-database.js';
import { AuditTrail } from '../../src/events/audit-trail.service.js';
import { Reconciliation } from '../../src/events/reconciliation.service.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { TestDatabase } from '../support/database.js';
import { ageJobs, MovedJobs, runs } from '../support/moved-jobs.js';
import { fill, type MovedWorld } from '../support/moved-world.js';
import { Dice } from '../support/random.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

const SEED = Number(process.env['COPY_SEED'] ?? Date.now() % 1_000_000);
const KILLS = Number(process.env['COPY_KILLS'] ?? 3);

const SECRETS = {
  DATA_KEY: randomBytes(32).toString('base64'),
  JWT_SECRET: randomBytes(48).toString('base64'),
  HERALD_EXTENSIONS: 'herald/user-notes,herald/security-alerts',
};
const SERVED = { ...SECRETS, WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', WEBHOOK_RETRY_SCHEDULE: '0s,1h' };

/** `npm run db:copy`: from a file that a service has filled to a database that a service goes on with. */
describe(`the copy to PostgreSQL (COPY_SEED=${SEED})`, { timeout: 120_000 }, () => {
  const folder = temporaryFolder();
  const file = join(folder.path, 'herald.sqlite');
  let world: MovedWorld;
  let works: Receiver;
  let fails: Receiver;
  const databases: TestDatabase[] = [];
  beforeAll(async () => {
    works = await Receiver.start();
    fails = await Receiver.start(() => 500);
    const server = await TestServer.start({ ...SERVED, DATABASE_URL: `sqlite:${file}` }, [MovedJobs]);
    try {
      world = await fill(server, works, fails);
    } finally {
      await server.close();
    }
    ageJobs(file);
  }, 300_000);
  afterEach(async () => {
    await Promise.all(databases.splice(0).map((database) => database.remove()));
  });
  afterAll(async () => {
    await Promise.all([works.close(), fails.close()]);
    folder.remove();
  });

  async function emptyDatabase(): Promise<string> {
    const database = await TestDatabase.create();
    databases.push(database);
    return database.environment['DATABASE_URL'] ?? '';
  }

  function spawn(words: string, environment: Record<string, string> = {}): BuiltServer {
    const command = `${process.execPath} dist/src/db-copy.js ${words}`;
    return BuiltServer.spawn({ DATABASE_URL: `sqlite:${file}`, ...SECRETS, ...environment }, command);
  }

  async function copy(
    words: string,
    environment?: Record<string, string>,
  ): Promise<{ code: number | null; said: string }> {
    const run = spawn(words, environment);
    const { code } = await run.exited;
    expect(run.output).not.toMatch(/\s+at .+:\d+:\d+/);
    return { code, said: run.output };
  }

  /** The file as it is, for a test to change. */
  function changedFile(sql: string): string {
    const changed = join(folder.path, `${randomBytes(4).toString('hex')}.sqlite`);
    copyFileSync(file, changed);
    const database = new SqliteDatabase(changed);
    database.exec(sql);
    database.close();
    return `sqlite:${changed}`;
  }

  it('holds every row of every table, and begins its ids behind them', async () => {
    const url = await emptyDatabase();
    const { code, said } = await copy(url);
    expect([code, said]).toEqual([0, expect.stringMatching(/Copied .* in [\d.]+ s: \d+ rows of \d+ tables/)]);
    expect(said).toMatch(/The audit trail there: \d{4,} rows hold, head evt-[\w-]+:[\w-]+\./);
    expect(said).not.toContain('password@');
    const sqlite = new SqliteDatabase(file, { readonly: true });
    await asking(url, async (ask) => {
      const names = sqlite.prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`);
      for (const name of (names.pluck().all() as string[]).filter((one) => one !== 'migrations')) {
        const ours = (sqlite.prepare(`SELECT * FROM "${name}"`).all() as Row[]).map(comparable).toSorted();
        const theirs = (await ask(`SELECT * FROM "${name}"`)).map(comparable).toSorted();
        expect(ours.length, name).toBeGreaterThan(0);
        expect(theirs, name).toEqual(ours);
      }
      for (const table of ['webhook_attempts', 'password_history']) {
        const [{ next } = {}] = await ask(`SELECT nextval(pg_get_serial_sequence('${table}', 'id')) AS next`);
        const last = sqlite.prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').pluck().get(table);
        expect(Number(next), table).toBe(Number(last) + 1);
      }
    });
    sqlite.close();
    // Complete as it is, it is compared once more and left alone.
    expect(await copy(url)).toMatchObject({ code: 0, said: expect.stringContaining('Copied') });
  });

  it('goes on where it was killed, as often as that happens', async () => {
    const url = await emptyDatabase();
    const dice = new Dice(SEED);
    const countOf = async (table: string) =>
      asking(url, async (ask) => Number((await ask(`SELECT count(*) AS count FROM ${table}`))[0]?.['count']));
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const run = spawn(url);
      // The first while it begins, or migrates; the others while they copy jobs, or the journal.
      if (kill > 1) await Promise.race([lineOf(run, kill <= KILLS / 2 ? 'users' : 'jobs'), run.exited]);
      const delayMs = dice.below(kill === 1 ? 1500 : 200);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      const { signal } = await run.stop('SIGKILL');
      const [jobs, events] = [await countOf('jobs').catch(() => 0), await countOf('events').catch(() => 0)];
      process.stdout.write(
        `kill ${kill}: ${delayMs} ms, ${signal ?? 'over before'}, ${jobs} jobs and ${events} events there\n`,
      );
    }
    // Any beginning of a table may be what was left of it.
    await asking(url, async (ask) => {
      await ask(`DELETE FROM events WHERE seq > ${dice.between(1, await countOf('events'))}`);
      await ask(
        `DELETE FROM pgboss.job WHERE id >= (SELECT id FROM jobs ORDER BY id OFFSET ${dice.below(await countOf('jobs'))} LIMIT 1)`,
      );
    });
    const { code, said } = await copy(url);
    expect([code, said]).toEqual([0, expect.stringMatching(/Copied .* rows hold/s)]);
    const sqlite = new SqliteDatabase(file, { readonly: true });
    for (const table of ['jobs', 'events'])
      expect(await countOf(table)).toBe(sqlite.prepare(`SELECT COUNT(*) FROM ${table}`).pluck().get());
    sqlite.close();
  });

  it('is what a service goes on with, and its clients do not notice', async () => {
    const url = await emptyDatabase();
    expect(await copy(url)).toMatchObject({ code: 0 });
    const server = await TestServer.start({ ...SERVED, DATABASE_URL: url });
    try {
      const { api, app } = server;
      const { user, withMfa, locked } = world;
      await api.login(user);
      const refreshed = await api.post('/auth/refresh', { refreshToken: user.refreshToken });
      expect(refreshed.status).toBe(200);
      const stream = await server.stream({
        token: refreshed.body.data.accessToken as string,
        query: { events: 'user.updated' },
        headers: { 'Last-Event-ID': world.seen },
      });
      await stream.next(({ id }) => id === world.missed.at(-1));
      expect(stream.received.flatMap(({ id }) => id ?? [])).toEqual(world.missed);
      const asked = await api.post('/auth/login', { email: withMfa.email, password: withMfa.password });
      const proof = { mfaToken: asked.body.data.mfaToken as string, code: world.recoveryCodes[0] };
      expect((await api.post('/auth/mfa/verify', proof)).status).toBe(200);
      expect((await api.post('/auth/login', { email: locked.email, password: locked.password })).status).toBe(403);
      const byKey = await api.call('GET', '/events?limit=1', { headers: { 'X-API-Key': world.apiKey } });
      expect(byKey.status).toBe(200);
      const newPassword = { token: world.resetToken, password: 'Third-horse-3' };
      expect((await api.post('/auth/reset-password', newPassword)).status).toBe(200);
      const again = await api.login({ email: user.email, password: 'Third-horse-3' });
      expect((await api.get(`/notes/${world.note.id}`, again.accessToken)).body.data.text).toBe(world.note.text);
      // The webhooks' secrets are read, and events go on behind those before.
      const newcomer = await api.register();
      await works.next(({ body }) => body.includes(newcomer.id));
      expect(await app.get(AuditTrail).verify()).toMatchObject({ broken: null });
    } finally {
      await server.close();
    }
  });

  it('goes on with the jobs, each as far as it was', async () => {
    const url = await emptyDatabase();
    expect(await copy(url)).toMatchObject({ code: 0 });
    const jobs = (where: string) =>
      asking(url, (ask) => ask(`SELECT * FROM jobs WHERE type = 'test.moved' AND ${where}`));
    const keep = `state IN ('completed', 'dead') OR payload LIKE '%waits%' OR payload LIKE '%later%'`;
    const kept = (await jobs(keep)).map(comparable);
    runs.length = 0;
    const server = await TestServer.start({ ...SERVED, DATABASE_URL: url }, [MovedJobs]);
    try {
      const { api, app } = server;
      const queue = app.get(JobQueue);
      const idOf = async (name: string) => String((await jobs(`payload = '{"name":"${name}"}'`))[0]?.['id']);
      // A start waits for signs of life of those who may still run what seems abandoned.
      await expect.poll(() => runs.length, { timeout: 30_000, interval: 50 }).toBeGreaterThanOrEqual(5);
      await app.get(JobWorker).idle();
      expect(runs.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        { name: 'failed, due', attempt: 2, crashes: 0 },
        { name: 'given back', attempt: 1, crashes: 0 },
        { name: 'killed', attempt: 3, crashes: 1 },
        { name: 'pending, due', attempt: 1, crashes: 0 },
        { name: 'suspect', attempt: 3, crashes: 2 },
      ]);
      expect((await jobs('true')).map(comparable)).toEqual(expect.arrayContaining(kept));
      expect(await queue.get(await idOf('failed, due'))).toMatchObject({
        state: 'completed',
        attempts: 2,
        history: [{ attempt: 1, error: 'RetryAfterError: the other side is busy' }],
      });
      expect(await queue.get(await idOf('killed too often'))).toMatchObject({
        state: 'dead',
        attempts: 5,
        crashes: 5,
        history: [{ attempt: 5 }],
      });
      const holder = await idOf('pending, holds the key');
      expect(await queue.submit('test.moved', { name: 'again' }, { uniqueKey: 'a "key"' })).toBe(holder);
      // But for its own, a submitted job has the values of a copied one.
      const submitted = await queue.submit('test.moved', { name: 'new' }, { delayMs: 3_600_000 });
      const own = `'{id,data,singleton_key,start_after,keep_until,created_on}'::text[]`;
      const shape = `to_jsonb(job) - ${own} AS shape, keep_until - start_after AS kept`;
      const [copied, fresh] = await asking(url, async (ask) => [
        await ask(`SELECT ${shape} FROM pgboss.job WHERE data->>'payload' LIKE '%later%' LIMIT 1`),
        await ask(`SELECT ${shape} FROM pgboss.job WHERE id = '${submitted}'`),
      ]);
      expect(copied).toEqual(fresh);

      runs.length = 0;
      const admin = (await api.login(ADMIN)).accessToken;
      const redriven = await api.post('/jobs/redrive', { type: 'test.moved' }, admin);
      expect([redriven.status, redriven.body.data]).toEqual([200, { redriven: 2 }]);
      const retried = await api.post(`/jobs/${await idOf('failed, waits')}/retry`, undefined, admin);
      expect(retried.status).toBe(200);
      await app.get(JobWorker).idle();
      expect(runs.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        { name: 'dead', attempt: 1, crashes: 0 },
        { name: 'failed, waits', attempt: 2, crashes: 0 },
        { name: 'killed too often', attempt: 1, crashes: 0 },
      ]);
      const { counts } = await app.get(Reconciliation).run();
      expect(counts).toMatchObject({ events_without_jobs: 0, jobs_without_events: 0 });
    } finally {
      await server.close();
    }
  });

  it('is refused in a sentence where it would not be one', async () => {
    const url = await emptyDatabase();
    const lines: string[] = [];
    const run = (words: string, environment: Record<string, string> = {}) =>
      copyDatabase(
        words.split(' ').filter(Boolean),
        loadConfig({ DATABASE_URL: `sqlite:${file}`, ...SECRETS, ...environment }),
        (line) => lines.push(line),
      );
    const refused = async (words: string, environment?: Record<string, string>): Promise<string> => {
      const answer: unknown = await run(words, environment).catch((error: unknown) => error);
      return (answer as Error).message;
    };
    expect(await copy('')).toMatchObject({ code: 1, said: expect.stringMatching(/^Not everything was copied: Name/) });
    expect(await refused('')).toContain('Name the database to copy to: npm run db:copy -- postgres://');
    expect(await refused(`sqlite:${file}`)).toContain('Name the database to copy to');
    expect(await refused(url, { DATABASE_URL: url })).toContain('Name the file to copy as sqlite:FILE');
    expect(await refused(`${url} sqlite:${file}.none`)).toContain('There is no database at');
    expect(await refused(url, { DATA_KEY: randomBytes(32).toString('base64') })).toContain('DATA_KEY is not the one');
    expect(await refused(url, { DATA_KEY: '' })).toContain('DATA_KEY is not set');
    expect(await refused(url, { HERALD_EXTENSIONS: 'herald/user-notes' })).toMatch(
      /security_failed_logins.* HERALD_EXTENSIONS|HERALD_EXTENSIONS.* security_failed_logins/,
    );
    const old = changedFile(`DELETE FROM migrations WHERE name LIKE 'Overview%'`);
    expect(await refused(`${url} ${old}`)).toContain(
      'lacks the migration Overview1795500000012: start the service on it',
    );
    const secret = new URL(url);
    secret.password = 'Top-secret-1';
    const said = await refused(secret.href);
    expect(said).toContain('PostgreSQL cannot be used: password authentication failed');
    expect(said).not.toContain('Top-secret-1');
    const zero = changedFile(`UPDATE user_notes SET text = 'a' || char(0)`);
    expect(await refused(`${await emptyDatabase()} ${zero}`)).toContain(
      'The table "user_notes" was refused by PostgreSQL: invalid byte',
    );
    const foreign = await emptyDatabase();
    const more = changedFile('CREATE TABLE "diary" ("day" text)');
    expect(await refused(`${foreign} ${more}`)).toContain('--leave diary');
    await run(`${foreign} ${more} --leave diary`);
    expect(lines.at(-1)).toContain('Start the service with DATABASE_URL of that database');
    await asking(foreign, (ask) => ask(`UPDATE pgboss.job SET retry_count = 5 WHERE state = 'completed'`));
    expect(await refused(foreign)).toContain('The table "jobs" has rows in PostgreSQL that are not those');
    await asking(foreign, (ask) => ask(`UPDATE users SET role = 'admin'`));
    expect(await refused(foreign)).toContain('The table "users" has rows in PostgreSQL that are not those');
  });

  it('is refused while a service has the file, or the database', async () => {
    const url = await emptyDatabase();
    const own = changedFile('SELECT 1');
    const onFile = await BuiltServer.start({ ...SERVED, DATABASE_URL: own });
    const refusal = await copy(`${url} ${own}`);
    await onFile.stop('SIGKILL');
    expect([refusal.code, refusal.said]).toEqual([
      1,
      expect.stringContaining(`is in use by process ${onFile.process.pid}`),
    ]);
    // What it had not written into the file itself yet is in the log beside it.
    expect(await copy(`${await emptyDatabase()} ${own}`)).toMatchObject({ code: 0 });
    const onDatabase = await BuiltServer.start({ ...SERVED, DATABASE_URL: url });
    const other = await copy(url);
    await onDatabase.stop('SIGKILL');
    expect([other.code, other.said]).toEqual([1, expect.stringContaining('A service runs on the database to copy to')]);
  });
});

type Row = Record<string, string | number | boolean | null>;

/** A row in words that both databases share. What a job's claim is called is not among them. */
function comparable(row: Row): string {
  const valueOf = (name: string) => (typeof row[name] === 'boolean' ? Number(row[name]) : row[name]);
  const names = Object.keys(row)
    .filter((name) => name !== 'lease')
    .toSorted();
  return names.map((name) => `${name}=${valueOf(name)}`).join('\n');
}

async function asking<T>(url: string, work: (ask: (sql: string) => Promise<Row[]>) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(async (sql) => (await client.query<Row>(sql)).rows);
  } finally {
    await client.end();
  }
}

/** Resolves once a process has said what begins with a word. */
function lineOf({ process: { stdout } }: BuiltServer, word: string): Promise<void> {
  return new Promise((resolve) => {
    let said = '';
    const look = (text: string): void => {
      said += text;
      if (!said.includes(`${word}: `)) return;
      stdout?.off('data', look);
      resolve();
    };
    stdout?.on('data', look);
  });
}
