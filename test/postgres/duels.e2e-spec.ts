import { generateSync } from 'otplib';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/config.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { FirstAdmin } from '../../src/users/first-admin.service.js';
import { UsersService } from '../../src/users/users.service.js';
import { WebhookAttempts } from '../../src/webhooks/webhook-attempts.service.js';
import { WebhookDeliveries } from '../../src/webhooks/webhook-deliveries.service.js';
import { WebhookDelivery } from '../../src/webhooks/webhook-delivery.entity.js';
import { mailedToken, turnOnMfa } from '../support/accounts.js';
import type { Answer, Api, TestUser, Tokens } from '../support/api.js';
import { TestDatabase } from '../support/database.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

let one: TestServer;
let other: TestServer;
let admin: string;
let referee: Client;
beforeAll(async () => {
  one = await TestServer.start({
    LOCKOUT_MAX_ATTEMPTS: '5',
    API_KEYS_MAX_PER_USER: '3',
    WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
  });
  other = await one.startAnother();
  admin = (await one.api.login(ADMIN)).accessToken;
  referee = new Client({ connectionString: one.databaseUrl });
  await referee.connect();
});
afterAll(async () => {
  await referee.end();
  await other.close();
  await one.close();
});

/** What units need at their end, or in their middle: while the referee has it, nobody commits. */
const JOURNAL = `SELECT pg_advisory_xact_lock(hashtextextended('journal', 0))`;
const writesOf = (table: string) => `LOCK TABLE ${table} IN SHARE MODE`;

/**
 * Sends requests to both instances in turn, and lets them go on only when all of them are past their guards and wait for a
 * lock: the referee's, or one that another of them has.
 */
async function duel<T>(acts: ((api: Api, server: TestServer) => Promise<T>)[], hold = JOURNAL): Promise<T[]> {
  await settle();
  await referee.query('BEGIN');
  await referee.query(hold);
  const answers = Promise.all(
    acts.map((act, n) => {
      const server = n % 2 === 0 ? one : other;
      return act(server.api, server);
    }),
  );
  try {
    await expect.poll(waiting, { timeout: 10_000 }).toBeGreaterThanOrEqual(acts.length);
  } finally {
    await referee.query('COMMIT');
  }
  return answers;
}

/** Lets nobody but the duellists wait for a lock. */
async function settle(): Promise<void> {
  for (const { app } of [one, other]) {
    await app.get(DurableReaders).caughtUp();
    await app.get(JobWorker).idle();
  }
}

async function waiting(): Promise<number> {
  // What they did before the first look is remembered for a transaction.
  await referee.query('SELECT pg_stat_clear_snapshot()');
  const { rows } = await referee.query<{ count: number }>(
    `SELECT COUNT(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  );
  return rows[0]?.count ?? 0;
}

const statuses = (answers: Answer[]) => answers.map(({ status }) => status).toSorted((a, b) => a - b);
const twice = (act: (api: Api) => Promise<Answer>) => [act, act];
const events = async (type: string, { id, email }: TestUser): Promise<number> => {
  const { body } = await one.api.get(`/audit?type=${type}&limit=200`, admin);
  return (body.data.items as { subject: string }[]).filter(({ subject }) => [id, email].includes(subject)).length;
};

describe('of two instances at once', () => {
  it('one registers an address', async () => {
    const account = { email: 'wanted@example.com', password: 'Correct-horse-1' };
    expect(statuses(await duel(twice((api) => api.post('/auth/register', account))))).toEqual([201, 409]);
  });

  it('one account changes to an address', async () => {
    const users = [await one.api.register(), await other.api.register()];
    const email = 'moved-to@example.com';
    const acts = users.map(
      ({ accessToken }) =>
        (api: Api) =>
          api.patch('/users/me', { email }, accessToken),
    );
    expect(statuses(await duel(acts))).toEqual([200, 409]);
  });

  it('one counts a failure as the last that is allowed, and no attempt slips past', async () => {
    const user = await one.api.register();
    const wrong = { email: user.email, password: 'Wrong-horse-1' };
    const answers = await duel(Array.from({ length: 10 }, () => (api: Api) => api.post('/auth/login', wrong)));
    expect(statuses(answers)).toEqual([401, 401, 401, 401, 403, 403, 403, 403, 403, 403]);
    expect(await events('account.locked', user)).toBe(1);
    expect(await events('login.failed', user)).toBe(10);
  });

  it('one deletes an account', async () => {
    const user = await one.api.register();
    const answers = await duel([
      (api) => api.delete('/users/me', user.accessToken),
      (api) => api.delete(`/admin/users/${user.id}`, admin),
    ]);
    // Whoever comes second finds no account, or no session any more.
    const either = [
      [204, 404],
      [401, 204],
    ];
    expect(either).toContainEqual(answers.map(({ status }) => status));
    expect(await events('user.deleted', user)).toBe(1);
  });

  it('one uses the token of a mail', async () => {
    const user = await one.api.register();
    const token = await mailedToken(one, 'verify-email', user.email);
    expect(statuses(await duel(twice((api) => api.post('/auth/verify-email', { token }))))).toEqual([200, 401]);
    expect(await events('email.verified', user)).toBe(1);

    await one.api.post('/auth/forgot-password', { email: user.email });
    const resetToken = await mailedToken(one, 'reset-password', user.email);
    const reset = { token: resetToken, password: 'Another-horse-2' };
    expect(statuses(await duel(twice((api) => api.post('/auth/reset-password', reset))))).toEqual([200, 401]);
    expect(await events('password.reset', user)).toBe(1);
  });

  it('one uses a ticket', async () => {
    const user = await one.api.register();
    const { ticket } = (await one.api.post('/events/stream-tickets', undefined, user.accessToken)).body.data;
    const abort = new AbortController();
    const stream = async ({ base }: Api): Promise<Answer> => {
      const { status, headers } = await fetch(`${base}/events/stream?ticket=${ticket}`, { signal: abort.signal });
      return { status, headers, body: undefined };
    };
    expect(statuses(await duel(twice(stream), writesOf('stream_tickets')))).toEqual([200, 401]);
    abort.abort();
  });

  it.each(['TOTP', 'recovery'])('one uses a code: %s', async (kind) => {
    const user = await one.api.register();
    const { code, recoveryCodes } = await turnOnMfa(one, user);
    const shown = kind === 'TOTP' ? code : recoveryCodes[0];
    const { email, password } = user;
    const { mfaToken } = (await one.api.post('/auth/login', { email, password })).body.data;
    const answers = await duel(twice((api) => api.post('/auth/mfa/verify', { mfaToken, code: shown })));
    expect(statuses(answers)).toEqual([200, 401]);
    expect(await events('login.success', user)).toBe(1);
  });

  it('one turns a second factor on', async () => {
    const user = await one.api.register();
    const { secret } = (await one.api.post('/auth/mfa/setup', undefined, user.accessToken)).body.data;
    const code = generateSync({ secret });
    const enable = (api: Api) => api.post('/auth/mfa/enable', { secret, code }, user.accessToken);
    expect(statuses(await duel(twice(enable)))).toEqual([200, 409]);
    expect(await events('mfa.enabled', user)).toBe(1);
  });

  it('one changes a password, from the one that both were told', async () => {
    const user = await one.api.register();
    const acts = ['First-horse-2', 'Second-horse-3'].map(
      (password) => (api: Api) =>
        api.patch('/users/me', { password, currentPassword: user.password }, user.accessToken),
    );
    expect(statuses(await duel(acts))).toEqual([200, 401]);
    expect(await events('password.changed', user)).toBe(1);
  });

  it('none has an account make more keys than it may', async () => {
    const user = await one.api.register();
    const make = (api: Api) => api.post('/api-keys', { name: 'key', scopes: ['events:read'] }, user.accessToken);
    expect(statuses(await duel([make, make, make, make, make]))).toEqual([201, 201, 201, 409, 409]);
  });

  it('one rotates the secret of an endpoint, sends a delivery again, and records an attempt', async () => {
    const receiver = await Receiver.start();
    const { id } = (await one.api.post('/webhooks', { url: receiver.url, events: ['logout'] }, admin)).body.data;
    const rotate = (api: Api) => api.post(`/webhooks/${id}/rotate-secret`, {}, admin);
    expect(statuses(await duel(twice(rotate)))).toEqual([200, 409]);

    const { id: deliveryId } = (await one.api.post(`/webhooks/${id}/test`, undefined, admin)).body.data;
    await settle();
    const redeliver = (api: Api) => api.post(`/webhooks/deliveries/${deliveryId}/redeliver`, undefined, admin);
    const [sent, refused] = statuses(await duel(twice(redeliver)));
    expect([Number(sent) < 300, refused]).toEqual([true, 409]);
    await settle();
    expect(receiver.received).toHaveLength(2);

    // Two workers, of which one has taken the other for dead.
    await one.app.get(UnitOfWork).run((tx) => tx.update(WebhookDelivery, { id: deliveryId }, { status: 'pending' }));
    const record = (_: Api, { app }: TestServer) => app.get(WebhookAttempts).onDead({ deliveryId, attempt: 3 }, 'gone');
    await duel([record, record], writesOf('webhook_deliveries'));
    const { delivery, attempts } = await one.app.get(WebhookDeliveries).get(deliveryId);
    expect([delivery.status, delivery.attempts, attempts.length]).toEqual(['dead', 3, 3]);
    await one.api.delete(`/webhooks/${id}`, admin);
    await receiver.close();
  });

  it('one logs out of a session', async () => {
    const user = await one.api.register();
    const logout = (api: Api) => api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    expect(statuses(await duel(twice(logout)))).toEqual([204, 401]);
    expect(await events('logout', user)).toBe(1);
  });
});

describe('a refresh token', () => {
  const refresh =
    ({ refreshToken }: Tokens) =>
    (api: Api) =>
      api.post('/auth/refresh', { refreshToken });
  const sessions = async ({ accessToken }: TestUser) =>
    (await one.api.get('/users/me/sessions', accessToken)).body.data.sessions as unknown[];

  it('of two tabs at two instances gives both a child in the one session', async () => {
    const user = await one.api.register();
    const answers = await duel(twice(refresh(user)), writesOf('refresh_tokens'));
    expect(statuses(answers)).toEqual([200, 200]);
    expect(await sessions(user)).toHaveLength(1);
    const children = answers.map(({ body }) => body.data as Tokens);
    expect(new Set(children.map(({ refreshToken }) => refreshToken)).size).toBe(2);
    // One of them goes on: whoever comes with the parent now is somebody else.
    await refresh(children[0] as Tokens)(other.api);
    expect((await refresh(user)(one.api)).status).toBe(401);
    expect((await refresh(children[1] as Tokens)(one.api)).status).toBe(401);
  });

  it('that is reused at both ends its session once, whatever its owner does in this moment', async () => {
    const user = await one.api.register();
    const child = (await refresh(user)(one.api)).body.data as Tokens;
    const grandchild = (await refresh(child)(other.api)).body.data as Tokens;
    const newest = (await refresh(grandchild)(one.api)).body.data as Tokens;
    const answers = await duel([refresh(user), refresh(child), refresh(newest)], writesOf('sessions'));
    expect(answers.slice(0, 2).map(({ status }) => status)).toEqual([401, 401]);
    expect(await events('session.reused', user)).toBe(1);
    const left = answers.flatMap(({ status, body }) => (status === 200 ? [body.data as Tokens] : []));
    for (const tokens of [newest, ...left]) expect((await refresh(tokens)(one.api)).status).toBe(401);
  });
});

describe('the last admin', () => {
  interface Actor {
    id: string;
    token: string;
  }
  const path = ({ id }: Actor, rest = '') => `/admin/users/${id}${rest}`;
  const acts: Record<string, (api: Api, by: Actor, on: Actor) => Promise<Answer>> = {
    demotes: (api, { token }, on) => api.patch(path(on, '/role'), { role: 'user' }, token),
    bans: (api, { token }, on) => api.post(path(on, '/ban'), { reason: 'coup' }, token),
    deletes: (api, { token }, on) => api.delete(path(on), token),
    resigns: (api, { token }) => api.delete('/users/me', token),
  };
  const duels = Object.keys(acts).flatMap((first, n, all) => all.slice(n).map((second) => [first, second] as const));
  let survivor: Actor;
  beforeAll(async () => {
    survivor = { id: (await one.api.get('/users/me', admin)).body.data.id as string, token: admin };
  });

  it.each(duels)('is left of two when one %s and the other %s at another instance', async (first, second) => {
    const account = { email: `${first}-${second}@example.com`, password: ADMIN.password };
    const { body } = await one.api.post('/admin/users', { ...account, role: 'admin' }, survivor.token);
    const rival = { id: body.data.id as string, token: (await one.api.login(account)).accessToken };
    const answers = await duel([
      (api) => acts[first]?.(api, survivor, rival) as Promise<Answer>,
      (api) => acts[second]?.(api, rival, survivor) as Promise<Answer>,
    ]);
    const [firstDone, secondDone] = answers.map(({ status }) => status < 300);
    // Who is no admin any more may still resign.
    const mayBoth = first === 'demotes' && second === 'resigns';
    if (!mayBoth || !firstDone) expect(firstDone).toBe(!secondDone);
    const admins = await one.app.get(UsersService).admins();
    expect(admins).toHaveLength(1);
    if (admins[0]?.id === rival.id) survivor = rival;
    admin = survivor.token;
  });
});

describe('the first admin', () => {
  it('is one, of instances that start at once with different addresses', async () => {
    const database = await TestDatabase.create();
    const start = (name: string) =>
      createApp(
        loadConfig({
          ...database.environment,
          NODE_ENV: 'test',
          LOG_LEVEL: 'silent',
          ADMIN_EMAIL: `${name}@example.com`,
          ADMIN_PASSWORD: ADMIN.password,
        }),
      );
    const apps = [await start('first'), await start('second')];
    await Promise.all(apps.map((app) => app.get(FirstAdmin).onApplicationBootstrap()));
    expect(await apps[0]?.get(UsersService).admins()).toHaveLength(1);
    for (const app of apps) await app.close();
    await database.remove();
  });
});
