import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, readJournal, type Envelope } from '../crash/history.js';
import { subjectOf, Worker } from '../crash/worker.js';
import { Api, type Tokens } from '../support/api.js';
import { MailServer } from '../support/mail-server.js';
import { seededRandom } from '../support/random.js';
import { Receiver } from '../support/receiver.js';
import { Cluster } from './cluster.js';
import { ResumingClient } from './resuming-client.js';

const KILLS = Number(process.env['CLUSTER_KILLS'] ?? 4);
const SEED = Number(process.env['CLUSTER_SEED'] ?? randomInt(2 ** 31));
const WORKERS = 4;
const ADMIN = { email: 'admin@example.com', password: 'Admin-password-1' };
const PASSWORD = 'Correct-horse-1';
/** How soon the end of a session reaches a connection on whichever instance, while nothing is harmed. */
const REVOCATION_MS = 250;

/** Somebody who does nothing, and is told what others do to the account. */
interface Bystander {
  id: string;
  email: string;
  clients: ResumingClient[];
}

/**
 * Two instances of the built server behind a balancer, on one database: one of them is killed again and again in the
 * middle of work, the connections that they listen on are cut or go dead, and the database is restarted once.
 */
describe(`two instances, ${KILLS} kills (CLUSTER_SEED=${SEED})`, () => {
  const random = seededRandom(SEED);
  const workers = Array.from(
    { length: WORKERS },
    (_, n) => new Worker(`w${n}`, seededRandom(SEED + n + 1), () => undefined, true),
  );
  /** Accounts that were made and never touched again: each gets the mail that verifies its address. */
  const registered: string[] = [];
  const revocations: { ms: number; isQuiet: boolean }[] = [];
  const bystanders: Bystander[] = [];
  const watchers: ResumingClient[] = [];
  let cluster: Cluster;
  let api: Api;
  let admin: Tokens;
  let receiver: Receiver;
  let mails: MailServer;
  /** Ends the load. */
  const over = new AbortController();
  /** When something was harmed last, by `performance.now()`. */
  let harmedAt = 0;
  let before: Envelope[];
  let journal: Envelope[];
  let load: Envelope[];

  /** Calls until it is answered: an instance may be gone, the database away. */
  async function insist(call: () => ReturnType<Api['get']>): Promise<Awaited<ReturnType<Api['get']>>> {
    for (;;) {
      const answer = await call().catch(() => undefined);
      if (answer && answer.status < 500) return answer;
      await pause(50);
    }
  }

  const register = async (email: string) => {
    const answer = await api.post('/auth/register', { email, password: PASSWORD }).catch(() => undefined);
    return answer?.status === 201 ? (answer.body.data as Tokens) : undefined;
  };

  /** Whatever the workers do, over and over. */
  async function work(worker: Worker): Promise<void> {
    while (!over.signal.aborted) {
      await worker.run(cluster.url, () => over.signal.aborted);
      await pause(20);
    }
  }

  /** Makes accounts that nobody touches again, and fails to log in as the bystanders. */
  async function makeEvents(): Promise<void> {
    for (let n = 0; !over.signal.aborted; n += 1) {
      const email = `new-${n}-${randomUUID()}@example.com`;
      if (await register(email)) registered.push(email);
      const target = bystanders[n % bystanders.length]?.email;
      await api.post('/auth/login', { email: target, password: 'Wrong-horse-9' }).catch(() => undefined);
      await pause(30);
    }
  }

  /** Ends sessions, and looks how soon their connections end, on whichever instance they are. */
  async function revoke(): Promise<void> {
    for (let n = 0; !over.signal.aborted; n += 1) {
      const email = `gone-${n}-${randomUUID()}@example.com`;
      const tokens = await register(email);
      if (!tokens) continue;
      registered.push(email);
      const cursor = before.at(-1)?.id ?? '';
      const clients = (['websocket', 'sse'] as const).map(
        (transport) => new ResumingClient(transport, cluster.url, tokens.accessToken, cursor),
      );
      await Promise.all(clients.map(({ live }) => live));
      const { refreshToken, accessToken } = tokens;
      const { status } = await insist(() => api.post('/auth/logout', { refreshToken }, accessToken));
      const endedAt = performance.now();
      // One whose first answer never came is over all the same.
      expect([204, 401]).toContain(status);
      for (const client of clients) {
        const at = await client.revoked;
        revocations.push({ ms: Math.max(0, at - endedAt), isQuiet: status === 204 && endedAt - harmedAt > 3000 });
        await client.close();
      }
      await pause(50);
    }
  }

  async function harm(): Promise<void> {
    const restartAt = Math.floor(KILLS / 2);
    for (let n = 0; n < KILLS; n += 1) {
      await pause(500 + random() * 3500);
      harmedAt = performance.now();
      const at = Math.floor(random() * cluster.size);
      const dice = random();
      // Of the one that stays alive, so that it is hurt while it carries everything.
      if (dice < 0.5) cluster.harm(1 - at, dice < 0.25 ? 'cut' : 'silence');
      if (n === restartAt) await Promise.all([cluster.kill(at), cluster.restartDatabase()]);
      else await cluster.kill(at);
      harmedAt = performance.now();
    }
  }

  beforeAll(
    async () => {
      process.stdout.write(`CLUSTER_SEED=${SEED} CLUSTER_KILLS=${KILLS}\n`);
      [receiver, mails] = await Promise.all([Receiver.start(() => 204), MailServer.start()]);
      cluster = await Cluster.start(2, {
        NODE_ENV: 'test',
        LOG_LEVEL: 'info',
        ADMIN_EMAIL: ADMIN.email,
        ADMIN_PASSWORD: ADMIN.password,
        RATE_LIMIT_MAX: '0',
        AUTH_RATE_LIMIT_MAX: '0',
        LOCKOUT_MAX_ATTEMPTS: '0',
        PASSWORD_HISTORY: '0',
        JWT_EXPIRES_IN: '2h',
        MAIL_URL: mails.url,
        WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
        WEBHOOK_RETRY_SCHEDULE: '0s,1s,2s,5s,5s,5s,5s,10s,10s,10s',
        REALTIME_MAX_CONNECTIONS_PER_ADDRESS: '0',
        DATABASE_POOL_SIZE: '8',
      });
      api = new Api(`${cluster.url}/api/v1`);
      admin = await api.login(ADMIN);
      const hook = await api.post('/webhooks', { url: receiver.url, events: ['*'] }, admin.accessToken);
      expect(hook.status, JSON.stringify(hook.body)).toBe(201);
      const emails = [0, 1, 2].map((n) => `bystander-${n}@example.com`);
      const tokens = await Promise.all(emails.map(async (email) => (await register(email)) as Tokens));
      before = await readJournal(api, admin.accessToken);
      const cursor = before.at(-1)?.id ?? '';
      const both = (token: string) =>
        (['websocket', 'sse'] as const).map((transport) => new ResumingClient(transport, cluster.url, token, cursor));
      for (const [n, { accessToken }] of tokens.entries()) {
        bystanders.push({ id: subjectOf(accessToken), email: emails[n] ?? '', clients: both(accessToken) });
      }
      watchers.push(...both(admin.accessToken), ...both(admin.accessToken));
      const running = [...workers.map(work), makeEvents(), revoke(), revoke()];
      await harm();
      over.abort();
      await Promise.all(running);
      journal = await readJournal(api, admin.accessToken);
      load = journal.slice(before.length);
    },
    KILLS * 15_000 + 90_000,
  );

  afterAll(async () => {
    over.abort();
    const clients = [...watchers, ...bystanders.flatMap((bystander) => bystander.clients)];
    await Promise.all(clients.map((client) => client.close()));
    await cluster.close();
    await receiver.close();
    await mails.close();
  });

  it('has every acknowledged act in the journal exactly once, in each worker’s order, and nothing nobody did', () => {
    const { acts, acknowledged, missing, unexplained } = compare(workers, load);
    expect(acknowledged.length).toBeGreaterThan(KILLS * WORKERS);
    expect(missing).toEqual([]);
    expect(unexplained).toEqual([]);
    expect(new Set(journal.map(({ id }) => id)).size).toBe(journal.length);
    process.stdout.write(
      `CLUSTER_SEED=${SEED}: ${cluster.kills} kills, ${cluster.cuts} connections harmed, one restart of the database; ` +
        `${acknowledged.length} acts acknowledged, ${acts.length - acknowledged.length} unanswered, ${load.length} events\n`,
    );
  });

  it('gave every client exactly its sequence: nothing missing, nothing twice, in order', async () => {
    const seen = async (client: ResumingClient, visible: string[]) => {
      await expect
        .poll(() => client.ids.length, { timeout: 30_000, interval: 20 })
        .toBeGreaterThanOrEqual(visible.length);
      expect(client.ids.slice(0, visible.length)).toEqual(visible);
    };
    const all = load.map(({ id }) => id);
    for (const watcher of watchers) await seen(watcher, all);
    for (const { id, email, clients } of bystanders) {
      const own = load
        .filter(({ payload }) => payload.userId === id || payload.email === email)
        .map((event) => event.id);
      expect(own.length).toBeGreaterThan(0);
      for (const client of clients) await seen(client, own);
    }
    const connections = watchers.map((watcher) => watcher.connections);
    process.stdout.write(`CLUSTER_SEED=${SEED}: ${connections.join(', ')} connections of the watching clients\n`);
  });

  it('told every connection that its session was over, and soon', () => {
    expect(revocations.length).toBeGreaterThan(0);
    const sorted = (all: typeof revocations) => all.map(({ ms }) => ms).toSorted((a, b) => a - b);
    const [all, quiet] = [sorted(revocations), sorted(revocations.filter(({ isQuiet }) => isQuiet))];
    const at = (list: number[], share: number) => Math.round(list[Math.floor((list.length - 1) * share)] ?? 0);
    process.stdout.write(
      `CLUSTER_SEED=${SEED}: ${all.length} connections of ended sessions: p50 ${at(all, 0.5)} ms, p99 ${at(all, 0.99)} ms, ` +
        `most ${at(all, 1)} ms; of ${quiet.length} while nothing was harmed p50 ${at(quiet, 0.5)} ms, p99 ${at(quiet, 0.99)} ms\n`,
    );
    // What a wall clock may be asked for on a busy machine: the median of what nothing has disturbed.
    if (quiet.length > 0) expect(at(quiet, 0.5)).toBeLessThan(REVOCATION_MS);
  });

  it('sent every webhook, and every mail', async () => {
    const wanted = new Set(load.map(({ id }) => id));
    const missing = () => {
      const got = new Set(receiver.received.map(({ headers }) => String(headers['webhook-id'])));
      return [...wanted].filter((id) => !got.has(id)).length;
    };
    await expect.poll(missing, { timeout: 90_000, interval: 200 }).toBe(0);
    const unmailed = () => {
      const got = new Set(mails.inbox.all.flatMap(({ envelopeTo }) => envelopeTo));
      return registered.filter((email) => !got.has(email)).length;
    };
    await expect.poll(unmailed, { timeout: 90_000, interval: 200 }).toBe(0);
    const left = async () => {
      const { body } = await insist(() => api.get('/jobs/stats', admin.accessToken));
      return body.data as Record<string, number>;
    };
    await expect
      .poll(left, { timeout: 90_000, interval: 200 })
      .toMatchObject({ pending: 0, processing: 0, failed: 0, dead: 0 });
    process.stdout.write(
      `CLUSTER_SEED=${SEED}: ${receiver.received.length} requests for ${wanted.size} events, ` +
        `${mails.inbox.all.length} mails, ${registered.length} of them to new accounts\n`,
    );
  }, 200_000);

  it('left an audit trail that holds, and complained of nothing but the loss of its database', async () => {
    const { body } = await insist(() => api.get('/audit/verification', admin.accessToken));
    expect(body.data).toMatchObject({ broken: null });
    const lost =
      /Connection terminated|ECONNRE|terminating connection|starting up|shutting down|not queryable|57P0|not answered within/;
    expect(cluster.complaints.filter((line) => !lost.test(line))).toEqual([]);
  });
});
