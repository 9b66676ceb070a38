import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import SqliteDatabase from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { SseFollower, WsFollower, type Follower } from './followers.js';
import { compare, historyOf, readJournal, type Envelope } from './history.js';
import { seededRandom } from '../support/random.js';
import { subjectOf, Worker } from './worker.js';

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 8);
const SEED = Number(process.env['CRASH_SEED'] ?? randomInt(2 ** 31));
const WORKERS = 6;
const ADMIN = { email: 'admin@example.com', password: 'Admin-password-1' };

/** The real server, killed again and again in the middle of its work. */
describe(`kill -9 under load, ${ROUNDS} times (CRASH_SEED=${SEED})`, () => {
  const folder = temporaryFolder();
  const file = join(folder.path, 'herald.sqlite');
  const random = seededRandom(SEED);
  let onAcknowledged = (): void => undefined;
  const workers = Array.from(
    { length: WORKERS },
    (_, n) => new Worker(`w${n}`, seededRandom(SEED + n + 1), () => onAcknowledged()),
  );
  const environment = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'info',
    DATABASE_URL: `sqlite:${file}`,
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    RATE_LIMIT_MAX: '0',
    AUTH_RATE_LIMIT_MAX: '0',
    LOCKOUT_MAX_ATTEMPTS: '0',
    // The workers go back and forth between two passwords.
    PASSWORD_HISTORY: '0',
  };
  let server: BuiltServer | undefined;
  let api: Api;
  let followers: Follower[] = [];
  /** The whole journal after the last crash, and the part of it that the load wrote. */
  let journal: Envelope[];
  let load: Envelope[];

  async function start(): Promise<string> {
    server = await BuiltServer.start(environment);
    api = new Api(`${server.url}/api/v1`);
    return server.url;
  }

  /** Resolves once the workers together have had so many more acts acknowledged, however fast the machine is. */
  function acknowledgements(count: number): Promise<void> {
    let left = count;
    return new Promise((resolve) => {
      onAcknowledged = () => {
        left -= 1;
        if (left === 0) resolve();
      };
    });
  }

  /** Kills the server, which must have been alive until then, and must not have complained. */
  async function kill(): Promise<void> {
    const end = await server?.stop('SIGKILL');
    expect(end, server?.output.slice(-2000)).toEqual({ code: null, signal: 'SIGKILL' });
    expect(server?.output.split('\n').filter((line) => /"level":[56]0/.test(line))).toEqual([]);
  }

  beforeAll(async () => {
    process.stdout.write(`CRASH_SEED=${SEED} CRASH_ROUNDS=${ROUNDS}\n`);
    let url = await start();
    const token = (await api.login(ADMIN)).accessToken;
    const before = await readJournal(api, token);
    const cursor = before.at(-1)?.id ?? '';
    followers = [new WsFollower(cursor), new SseFollower(cursor)];
    const connectAll = () => Promise.all(followers.map((follower) => follower.connect(url, token)));
    for (let round = 0; round < ROUNDS; round += 1) {
      await connectAll();
      const enough = acknowledgements(WORKERS + 1 + Math.floor(random() * 50));
      const work = Promise.all(workers.map((worker) => worker.run(url)));
      await Promise.race([enough, work]);
      // Not always in the moment after an answer, when the others' acts are all at the same stage.
      await setTimeout(Math.floor(random() * 25));
      await kill();
      await work;
      if (random() < 0.25) {
        // One life in four ends before it has begun: somewhere between the lock and the first request.
        server = BuiltServer.spawn(environment);
        await setTimeout(Math.floor(random() * 600));
        await kill();
      }
      url = await start();
    }
    await connectAll();
    journal = await readJournal(api, token);
    load = journal.slice(before.length);
    await Promise.all(followers.map((follower) => follower.reach(journal.at(-1)?.id ?? '')));
  }, ROUNDS * 12_000);

  afterAll(async () => {
    for (const follower of followers) follower.close();
    await server?.stop('SIGKILL');
    folder.remove();
  });

  it('has every acknowledged act in the journal exactly once, in each worker’s order, and nothing nobody did', () => {
    const { acts, acknowledged, missing, unexplained } = compare(workers, load);
    expect(acknowledged.length).toBeGreaterThan(ROUNDS * WORKERS);
    expect(missing).toEqual([]);
    expect(unexplained).toEqual([]);
    process.stdout.write(
      `CRASH_SEED=${SEED}: ${ROUNDS} rounds, ${acknowledged.length} acts acknowledged, ` +
        `${acts.length - acknowledged.length} unanswered, ${load.length} events compared\n`,
    );
  });

  it('gave each resuming client exactly the journal: nothing missing, nothing twice, in order', () => {
    const ids = load.map(({ id }) => id);
    // Cut there, because the tests below go on acting.
    for (const follower of followers) expect(follower.ids.slice(0, ids.length), follower.name).toEqual(ids);
  });

  it('has committed each unanswered act whole or not at all: the state, and the event that tells of it', async () => {
    for (const worker of workers) {
      const { found } = historyOf(worker, load);
      for (const act of worker.acts) {
        if (act.acknowledged || !act.tookEffect) continue;
        expect({ ...act, committed: await act.tookEffect(api) }).toEqual({ ...act, committed: found.has(act) });
      }
    }
    // Only the journal knows the ids of registrations whose answer never came: those that belong to no worker.
    const owners = new Set(workers.flatMap(({ ids }) => [...ids]));
    const emails = new Set(workers.flatMap((worker) => [...worker.emails]));
    const strangers = load.filter(
      ({ payload }) => !owners.has(payload.userId ?? '') && !emails.has(payload.email ?? ''),
    );
    const registered: string[] = [];
    for (const lost of workers.flatMap(({ lostRegistrations }) => lostRegistrations)) {
      const { status, body } = await api.post('/auth/login', lost);
      if (status === 200) registered.push(subjectOf(body.data.accessToken as string));
    }
    const told = strangers.map(({ type, payload }) => `${type} ${payload.userId}`);
    expect(told.toSorted()).toEqual(registered.map((id) => `user.registered ${id}`).toSorted());
  });

  it('has the state that the journal tells of', async () => {
    for (const { accounts, deleted } of workers) {
      for (const account of accounts) {
        if (!account.tokens) continue;
        const { status, body } = await api.get('/users/me', account.tokens.accessToken);
        expect([status, body.data?.id, body.data?.email]).toEqual([200, account.id, account.email]);
      }
      for (const { email, password } of deleted.slice(-3)) {
        expect((await api.post('/auth/login', { email, password })).status).toBe(401);
      }
      for (const account of accounts.slice(0, 3)) await api.login(account);
    }
  });

  it('left a sound database: the journal in one rising order, and exactly the accounts it tells of', async () => {
    await kill();
    const database = new SqliteDatabase(file, { readonly: true });
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(database.pragma('foreign_key_check')).toEqual([]);
    const rows = database.prepare<[], { id: string; seq: number }>('SELECT id, seq FROM events ORDER BY rowid').all();
    const users = database.prepare<[], string>('SELECT id FROM users').pluck().all();
    database.close();
    expect(rows.slice(0, journal.length).map(({ id }) => id)).toEqual(journal.map(({ id }) => id));
    expect(rows.filter(({ seq }, at) => seq <= (rows[at - 1]?.seq ?? 0))).toEqual([]);
    const idsOf = (wanted: string) =>
      journal.flatMap(({ type, payload }) => (type === wanted ? [payload.userId ?? ''] : []));
    const gone = new Set(idsOf('user.deleted'));
    expect(users.toSorted()).toEqual(
      idsOf('user.registered')
        .filter((id) => !gone.has(id))
        .toSorted(),
    );
  });
});
