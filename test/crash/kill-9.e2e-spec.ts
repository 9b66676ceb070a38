import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import SqliteDatabase from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { SseFollower, WsFollower, type Follower } from './followers.js';
import { seededRandom } from './random.js';
import { Worker, type Act } from './worker.js';

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 20);
const SEED = Number(process.env['CRASH_SEED'] ?? randomInt(2 ** 31));
const WORKERS = 6;
const ADMIN = { email: 'admin@example.com', password: 'Admin-password-1' };

interface Envelope {
  id: string;
  type: string;
  payload: { userId?: string; email?: string };
}

/** The real server, killed again and again in the middle of its work. */
describe(`kill -9 under load, ${ROUNDS} times (CRASH_SEED=${SEED})`, () => {
  const folder = temporaryFolder();
  const file = join(folder.path, 'herald.sqlite');
  const random = seededRandom(SEED);
  const workers = Array.from({ length: WORKERS }, (_, n) => new Worker(`w${n}`, seededRandom(SEED + n + 1)));
  let server: BuiltServer;
  let followers: Follower[] = [];
  let token: string;
  let journal: Envelope[];

  const start = () =>
    BuiltServer.start({
      NODE_ENV: 'test',
      LOG_LEVEL: 'info',
      DATABASE_URL: `sqlite:${file}`,
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      RATE_LIMIT_MAX: '0',
      AUTH_RATE_LIMIT_MAX: '0',
      LOCKOUT_MAX_ATTEMPTS: '0',
    });

  beforeAll(async () => {
    process.stdout.write(`CRASH_SEED=${SEED} CRASH_ROUNDS=${ROUNDS}\n`);
    server = await start();
    token = (await new Api(`${server.url}/api/v1`).login(ADMIN)).accessToken;
    const cursor = (await readJournal(server.url, token)).at(-1)?.id ?? '';
    followers = [new WsFollower(cursor), new SseFollower(cursor)];
    for (let round = 0; round < ROUNDS; round += 1) {
      const { url } = server;
      await Promise.all(followers.map((follower) => follower.connect(url, token)));
      const work = Promise.all(workers.map((worker) => worker.run(url)));
      await Promise.race([setTimeout(100 + Math.floor(random() * 700)), work]);
      await server.stop('SIGKILL');
      await work;
      server = await start();
    }
    await Promise.all(followers.map((follower) => follower.connect(server.url, token)));
    journal = await readJournal(server.url, token);
    await Promise.all(followers.map((follower) => follower.reach(journal.at(-1)?.id ?? '')));
  }, 240_000);

  afterAll(async () => {
    for (const follower of followers) follower.close();
    await server.stop('SIGKILL');
    folder.remove();
  });

  it('has every acknowledged act in the journal exactly once, in each worker’s order, and nothing nobody did', () => {
    const [acts, acknowledged] = [workers.flatMap(({ acts: all }) => all), workers.flatMap(acknowledgedOf)];
    process.stdout.write(
      `acts: ${acknowledged.length} acknowledged, ${acts.length - acknowledged.length} unanswered; journal: ${journal.length} events\n`,
    );
    expect(acknowledged.length).toBeGreaterThan(ROUNDS * WORKERS);
    const rest = new Map(journal.map((event) => [event.id, event]));
    let unanswered = 0;
    for (const worker of workers) {
      const own = journal.filter(
        ({ payload }) => worker.ids.has(payload.userId ?? '') || worker.emails.has(payload.email ?? ''),
      );
      own.forEach(({ id }) => rest.delete(id));
      expectHistory(worker.acts, own);
      unanswered += worker.acts.filter(({ payload }) => payload === undefined).length;
    }
    // What is left is the admin's, and registrations that were committed although their answer never came.
    const strangers = [...rest.values()].filter(({ payload }) => payload.email !== ADMIN.email).slice(1);
    expect(strangers.filter(({ type }) => type !== 'user.registered')).toEqual([]);
    expect(strangers.length).toBeLessThanOrEqual(unanswered);
  });

  it('gave each resuming client exactly the journal: nothing missing, nothing twice, in order', () => {
    for (const follower of followers) {
      const ids = journal.map(({ id }) => id);
      expect(follower.ids.length, follower.name).toBeGreaterThan(0);
      expect(follower.ids, follower.name).toEqual(ids.slice(ids.indexOf(follower.ids[0] ?? '')));
      // The first event of the load was the first one received: the cursor before it was the admin's login.
      expect(ids.length - follower.ids.length, follower.name).toBe(2);
    }
  });

  it('has the state that the journal tells of', async () => {
    const api = new Api(`${server.url}/api/v1`);
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

  it('left a sound database', async () => {
    await server.stop('SIGKILL');
    const database = new SqliteDatabase(file, { readonly: true });
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(database.pragma('foreign_key_check')).toEqual([]);
    database.close();
  });
});

function acknowledgedOf({ acts }: Worker): Act[] {
  return acts.filter(({ acknowledged }) => acknowledged);
}

/** Walks a worker's acts and its events side by side: an acknowledged act is next, an unanswered one may be. */
function expectHistory(acts: readonly Act[], events: readonly Envelope[]): void {
  let at = 0;
  for (const { type, payload, acknowledged } of acts) {
    // A registration without an answer has an id that only the journal knows; it is counted elsewhere.
    if (payload === undefined) continue;
    const next = events[at];
    const matches = next?.type === type && JSON.stringify(next.payload) === JSON.stringify(payload);
    if (acknowledged) expect({ type: next?.type, payload: next?.payload, at }).toEqual({ type, payload, at });
    if (matches) at += 1;
  }
  expect(events.slice(at)).toEqual([]);
}

async function readJournal(url: string, token: string): Promise<Envelope[]> {
  const api = new Api(`${url}/api/v1`);
  const events: Envelope[] = [];
  for (let after = ''; ; after = `&after=${events.at(-1)?.id}`) {
    const { body } = await api.get(`/events?limit=200${after}`, token);
    events.push(...(body.data.items as Envelope[]));
    if (body.data.hasMore !== true) return events;
  }
}
