import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from '../support/api.js';
import { temporaryFolder } from '../support/built-server.js';
import { seededRandom } from '../support/random.js';
import { recordOutput } from '../support/recorder.js';
import { Receiver } from '../support/receiver.js';

const ROUNDS = Number(process.env['DELIVERY_CRASH_ROUNDS'] ?? 2);
const SEED = Number(process.env['CRASH_SEED'] ?? randomInt(2 ** 31));
const ADMIN = { email: 'admin@example.com', password: 'Admin-password-1' };
const POINTS = [
  'after commit',
  'after claim',
  'during the request',
  'before the outcome is written',
  'after the outcome is written',
] as const;
const EVENTS_PER_BATCH = 5;

/** The built server, killed at a point of a delivery's life, again and again, while events keep coming. */
describe(`kill -9 at each point of a delivery, ${ROUNDS} times each (CRASH_SEED=${SEED})`, () => {
  const folder = temporaryFolder();
  const file = join(folder.path, 'herald.sqlite');
  const random = seededRandom(SEED);
  const receivers: Receiver[] = [];
  const secrets: string[] = [];
  const endpointIds: string[] = [];
  let server: ChildProcess | undefined;
  let kills = 0;
  let interrupted = 0;
  /** The claims that the last life left. */
  let abandoned: string[] = [];

  async function start(point = '', count = 0): Promise<string> {
    const environment = {
      PATH: process.env['PATH'],
      NODE_ENV: 'test',
      LOG_LEVEL: 'trace',
      LOG_FORMAT: 'json',
      HOST: '127.0.0.1',
      PORT: '0',
      DATABASE_URL: `sqlite:${file}`,
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      WEBHOOK_RETRY_SCHEDULE: '0s,20ms,50ms,100ms,200ms',
      FAULT_POINT: point,
      FAULT_COUNT: String(count),
    };
    server = fork(new URL('./faulty-server.mjs', import.meta.url), { env: environment, silent: true });
    for (const output of [server.stdout, server.stderr]) recordOutput(output);
    const first = await Promise.race([once(server, 'message'), once(server, 'exit')]);
    // It may die before it listens: what the last life left is enough to come by the point.
    const [message] = first as [{ url?: string } | null];
    return message?.url ?? '';
  }

  /** Keeps publishing until the server is dead. */
  async function publishUntilDead(): Promise<void> {
    const child = server;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const dead = once(child, 'exit');
    child.on('error', () => undefined);
    const publish = () => child.connected && child.send({ publish: EVENTS_PER_BATCH });
    child.on('message', publish);
    publish();
    await dead;
  }

  const query = <T>(sql: string): T[] => {
    const database = new SqliteDatabase(file, { readonly: true });
    try {
      return database.prepare<[], T>(sql).all();
    } finally {
      database.close();
    }
  };

  /** By the time the server listens, no job is held by a claim of the life before. */
  function expectTakenUp(): void {
    const held = query<{ lease: string }>(`SELECT lease FROM jobs WHERE state = 'processing'`);
    expect(held.map(({ lease }) => lease).filter((lease) => abandoned.includes(lease))).toEqual([]);
  }

  beforeAll(async () => {
    process.stdout.write(`CRASH_SEED=${SEED} DELIVERY_CRASH_ROUNDS=${ROUNDS}\n`);
    // One takes everything at once, the other fails each event once.
    const seen = new Set<unknown>();
    receivers.push(await Receiver.start(() => 204));
    receivers.push(
      await Receiver.start(({ headers }) => {
        if (seen.has(headers['webhook-id'])) return 204;
        seen.add(headers['webhook-id']);
        return 500;
      }),
    );
    const url = await start();
    const api = new Api(`${url}/api/v1`);
    const { accessToken } = await api.login(ADMIN);
    for (const receiver of receivers) {
      const { body } = await api.post('/webhooks', { url: receiver.url, events: ['login.failed'] }, accessToken);
      secrets.push(body.data.secret as string);
      endpointIds.push(body.data.id as string);
    }
    server?.kill('SIGKILL');
    await once(server as ChildProcess, 'exit');
  }, 30_000);

  afterAll(async () => {
    server?.kill('SIGKILL');
    for (const receiver of receivers) await receiver.close();
    folder.remove();
  });

  it.each(POINTS)(
    '%s: what was being done is taken up with the next start',
    async (point) => {
      const [receiver] = receivers as [Receiver, Receiver];
      for (let round = 0; round < ROUNDS; round += 1) {
        let left = 1 + Math.floor(random() * 60);
        const fromOutside = point === 'during the request';
        if (fromOutside) {
          // While the receiver has the request and has not answered.
          receiver.answer = () => {
            left -= 1;
            if (left === 0) server?.kill('SIGKILL');
            return left === 0 ? undefined : 204;
          };
        }
        const url = await start(fromOutside ? undefined : point, left);
        if (url !== '') expectTakenUp();
        await publishUntilDead();
        receiver.answer = () => 204;
        expect(server?.signalCode).toBe('SIGKILL');
        kills += 1;
        abandoned = query<{ lease: string }>(`SELECT lease FROM jobs WHERE state = 'processing'`).map(
          ({ lease }) => lease,
        );
        interrupted += abandoned.length;
      }
    },
    ROUNDS * 10_000,
  );

  it('in the end every event has reached every endpoint, under one id and with one body, signed', async () => {
    await start();
    expectTakenUp();
    const pending = () =>
      query<{ count: number }>(`SELECT COUNT(*) AS count FROM webhook_deliveries WHERE status = 'pending'`)[0]?.count;
    const behind = () =>
      query<{ behind: number }>(
        `SELECT (SELECT MAX(seq) FROM events) - (SELECT seq FROM event_cursors WHERE reader = 'webhooks') AS behind`,
      )[0]?.behind;
    await expect.poll(() => [behind(), pending()], { timeout: 60_000, interval: 50 }).toEqual([0, 0]);
    const events = query<{ id: string }>(`SELECT id FROM events WHERE type = 'login.failed' ORDER BY seq`).map(
      ({ id }) => id,
    );
    expect(events.length).toBeGreaterThan(ROUNDS * POINTS.length);
    receivers.forEach((receiver, at) => {
      const bodies = new Map<string, string>();
      for (const { headers, body } of receiver.received) {
        const id = String(headers['webhook-id']);
        expect(bodies.get(id) ?? body).toBe(body);
        bodies.set(id, body);
        new Webhook(secrets[at] ?? '').verify(body, headers as Record<string, string>);
      }
      expect([...bodies.keys()].toSorted()).toEqual(events.toSorted());
    });
    // One delivery for each event and endpoint: the cursor and the deliveries were one transaction.
    const deliveries = query<{ n: number }>(
      `SELECT COUNT(*) AS n FROM webhook_deliveries GROUP BY eventId, endpointId HAVING n <> 1 OR status <> 'delivered'`,
    );
    expect(deliveries).toEqual([]);
    const requests = receivers.reduce((sum, { received }) => sum + received.length, 0);
    process.stdout.write(
      `CRASH_SEED=${SEED}: ${kills} kills, ${events.length} events, ${requests} requests, ${interrupted} attempts interrupted\n`,
    );
    server?.kill('SIGKILL');
    await once(server as ChildProcess, 'exit');
  }, 90_000);
});
