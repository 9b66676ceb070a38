import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DataSource } from 'typeorm';
import { Instances } from '../../src/database/instances.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventRelay } from '../../src/events/event-relay.service.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventJournal } from '../../src/events/event-journal.service.js';
import { JournalReaders } from '../../src/events/journal-readers.service.js';
import { Reconciliation } from '../../src/events/reconciliation.service.js';
import type { TestUser } from '../support/api.js';
import { newHolder, REVOCATIONS } from '../support/revocations.js';
import { mailedToken } from '../support/accounts.js';
import { ADMIN, TestServer } from '../support/server.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import type { SseClient } from '../support/sse-client.js';
import type { WsClient } from '../support/ws-client.js';

/** The name under which the connection of an instance introduces itself. */
const OWN_CONNECTION = 'herald instance';

let one: TestServer;
let other: TestServer;
let admin: string;
beforeAll(async () => {
  one = await TestServer.start();
  other = await one.startAnother();
  admin = (await one.api.login(ADMIN)).accessToken;
});
afterAll(async () => {
  await other.close();
  await one.close();
});

const publish = (server: TestServer, email: string) =>
  server.app.get(EventBus).publish('login.failed', { email: `${email}@example.com` });

const wsIds = (client: WsClient) =>
  client.received.flatMap(({ type, event }) => (type === 'event' ? [(event as { id: string }).id] : []));
const sseIds = (client: SseClient) => client.received.flatMap(({ id }) => id ?? []);

async function journal(server: TestServer, after: string): Promise<string[]> {
  const { body } = await server.api.get(`/events?limit=200&after=${after}`, admin);
  return (body.data.items as { id: string }[]).map(({ id }) => id);
}

describe('events', () => {
  it('of each instance reach the clients of both, on both transports, in the one order of the journal', async () => {
    const { id: before } = await publish(one, 'before');
    const clients = await Promise.all(
      [one, other].map(async (server) => {
        const ws = await server.webSocket();
        ws.send({ type: 'auth', token: admin }, { type: 'subscribe', events: ['*'], lastEventId: before });
        return { ws, sse: await server.stream({ token: admin, headers: { 'Last-Event-ID': before } }) };
      }),
    );
    await Promise.all(Array.from({ length: 100 }, (_, n) => publish(n % 2 === 0 ? one : other, `n${n}`)));
    const { id: last } = await publish(other, 'last');
    for (const { ws, sse } of clients) {
      await ws.next(({ event }) => (event as { id?: string } | undefined)?.id === last);
      await sse.next(({ id }) => id === last);
    }
    const ids = await journal(one, before);
    expect(ids).toHaveLength(101);
    for (const { ws, sse } of clients) expect([wsIds(ws), sseIds(sse)]).toEqual([ids, ids]);
  });

  it('are had once by a client that goes from one instance to the other', async () => {
    const { id: before } = await publish(one, 'start');
    const seen: string[] = [];
    for (let n = 0; n < 20; n += 1) {
      const client = await (n % 2 === 0 ? other : one).webSocket();
      const lastEventId = seen.at(-1) ?? before;
      client.send({ type: 'auth', token: admin }, { type: 'subscribe', events: ['login.failed'], lastEventId });
      // Its own instance may not have read yet what the other has committed.
      const { id } = await publish(n % 2 === 0 ? one : other, `go${n}`);
      await client.next(({ event }) => (event as { id?: string } | undefined)?.id === id);
      seen.push(...wsIds(client));
      client.close();
    }
    expect(seen).toEqual(await journal(other, before));
  });

  it('are in the log of every instance as soon as one has answered', async () => {
    for (let n = 0; n < 50; n += 1) {
      const [from, to] = n % 2 === 0 ? [one, other] : [other, one];
      const { id } = await publish(from, `read${n}`);
      const { body } = await to.api.get('/events?order=desc&limit=1', admin);
      expect(body.data.items[0].id).toBe(id);
      expect((await to.api.get(`/events/${id}`, admin)).status).toBe(200);
    }
  });
});

describe('sessions that end on one instance', () => {
  // A connection that an admin closes is looked for on the instance that is asked.
  const acts = REVOCATIONS.filter(({ ends, name }) => ends.length > 0 && !name.includes('closed by an admin')).map(
    (act) => [act.name, act] as const,
  );

  it.each(acts)('%s: the connections on the other one end, after the event that tells why', async (_, act) => {
    const holder = await newHolder(one.api);
    // What has happened until here is not for those who subscribe now.
    await other.app.get(EventRelay).caughtUp();
    const clients: { name: string; end: Promise<unknown>; ends: boolean; seen: () => string[] }[] = [];
    const [token, apiKey] = [holder.user.accessToken, holder.key.rawKey];
    const whoses = [
      { name: 'first', auth: { token }, headers: { Authorization: `Bearer ${token}` } },
      {
        name: 'second',
        auth: { token: holder.second.accessToken },
        headers: { Authorization: `Bearer ${holder.second.accessToken}` },
      },
      { name: 'key', auth: { apiKey }, headers: { 'X-API-Key': apiKey } },
    ];
    for (const { name, auth, headers } of whoses) {
      const ws = await other.webSocket();
      ws.send({ type: 'auth', ...auth }, { type: 'subscribe', events: ['*'] });
      await ws.next(({ type }) => type === 'subscribed');
      const sse = await other.stream({ headers });
      await sse.next();
      clients.push(
        {
          name: `${name} websocket`,
          end: ws.closed.then(({ code }) => code),
          ends: (act.ends as readonly string[]).includes(`${name} websocket`),
          seen: () => wsIds(ws),
        },
        {
          name: `${name} sse`,
          end: sse.ended.then(() => sse.received.at(-1)?.data),
          ends: (act.ends as readonly string[]).includes(`${name} sse`),
          seen: () => sseIds(sse),
        },
      );
    }
    const resetToken = async ({ email }: TestUser) => {
      await one.api.post('/auth/forgot-password', { email });
      return mailedToken(one, 'reset-password', email);
    };
    const { method, path, ...options } = await act.prepare(holder, { api: one.api, admin, resetToken });
    await one.api.call(method, path, options);
    const own = clients.filter(({ ends }) => ends);
    expect(own).toHaveLength(act.ends.length);
    for (const { name, end } of own) {
      const told = name.endsWith('sse') ? '{"reason":"revoked","reconnect":false}' : 4403;
      expect(await end, name).toBe(told);
    }
    // The last event first, then the close: both transports have seen the same.
    const [first, ...rest] = own.map(({ seen }) => seen().length);
    expect(rest.every((count) => count === first)).toBe(true);
    expect(first).toBeGreaterThan(act.told.length > 0 ? 0 : -1);
  });
});

describe('the connection between instances', () => {
  let proxy: TcpProxy;
  let behind: TestServer;
  beforeAll(async () => {
    proxy = await TcpProxy.start(one.databaseUrl);
    behind = await one.startAnother({ DATABASE_URL: proxy.through(one.databaseUrl) });
  });
  afterAll(async () => {
    await behind.close();
    await proxy.close();
  });
  const open: { close(): void }[] = [];
  afterEach(() => open.splice(0).forEach((client) => client.close()));

  /** Does something to the connection, and sees events and the ends of sessions come through all the same. */
  async function survives(harm: () => void): Promise<void> {
    const user = await one.api.register();
    await behind.app.get(EventRelay).caughtUp();
    const [watch, own] = [await behind.subscriber(admin), await behind.subscriber(user.accessToken)];
    open.push(watch, own);
    harm();
    const { id } = await publish(one, 'meanwhile');
    // In the very time in which nothing can be heard.
    await one.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    await watch.next(({ event }) => (event as { id?: string } | undefined)?.id === id);
    expect((await own.closed).code).toBe(4403);
    expect(own.events).toEqual(['logout']);
  }

  it('is replaced when it is cut', async () => {
    const before = proxy.count;
    await survives(() => proxy.cut(OWN_CONNECTION));
    expect(proxy.count).toBeGreaterThan(before);
  });

  it('is replaced when it is half open, which neither end can see', async () => {
    const before = proxy.count;
    await survives(() => proxy.silence(OWN_CONNECTION));
    expect(proxy.count).toBeGreaterThan(before);
  });

  it('is replaced when the server ends it', async () => {
    await survives(
      () =>
        void one.app
          .get(DataSource)
          .query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, [
            OWN_CONNECTION,
          ]),
    );
  });
});

describe('connections of the pools that are half open', () => {
  it('are given up within seconds, while a statement that only takes its time is not', async () => {
    const proxy = await TcpProxy.start(one.databaseUrl);
    const server = await one.startAnother({ DATABASE_URL: proxy.through(one.databaseUrl) });
    const waits = () => server.app.get(UnitOfWork).run((tx) => tx.query('SELECT pg_sleep(6)'));
    const users = await Promise.all(Array.from({ length: 8 }, () => server.api.register()));
    proxy.silence('application_name\0herald\0');
    const slow = waits();
    const asked = await Promise.all(users.map(({ accessToken }) => server.api.get('/users/me', accessToken)));
    expect(asked.filter(({ status }) => status === 503)).not.toHaveLength(0);
    for (const { status, body } of asked) if (status !== 200) expect(body.error.code).toBe('SERVICE_UNAVAILABLE');
    for (const { accessToken } of users) expect((await server.api.get('/users/me', accessToken)).status).toBe(200);
    await slow;
    await server.close();
    await proxy.close();
  }, 40_000);
});

describe('a database that is away', () => {
  it('is told from a fault, on both transports, and holds no shutdown up', async () => {
    const proxy = await TcpProxy.start(one.databaseUrl);
    const server = await one.startAnother({ DATABASE_URL: proxy.through(one.databaseUrl) });
    const socket = await server.webSocket();
    await proxy.close();
    const { status, body } = await server.api.get('/users/me', admin);
    expect([status, body.error.code]).toEqual([503, 'SERVICE_UNAVAILABLE']);
    socket.send({ type: 'auth', token: admin });
    expect(await socket.next(({ type }) => type === 'error')).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await server.app.close();
    expect((await socket.closed).code).toBe(1001);
  });
});

describe('a duty', () => {
  it('that could not be begun is begun again', async () => {
    let tries = 0;
    const begun = new Promise<void>((resolve) => {
      const begin = (): void => {
        if ((tries += 1) === 1) throw new Error('The database was away');
        resolve();
      };
      void one.app.get(Instances).share('to be begun', { begin, end: () => undefined });
    });
    await begun;
    expect(tries).toBe(2);
  });
});

describe('what somebody else says on the channels of the instances', () => {
  it('harms nobody', async () => {
    const { app } = one;
    for (const channel of ['herald_announced', 'herald_events', 'herald_jobs']) {
      await app.get(UnitOfWork).run((tx) => tx.query('SELECT pg_notify($1, $2)', [channel, '{"from":"nobody"']));
    }
    const watch = await other.subscriber(admin);
    const { id } = await publish(one, 'after');
    await watch.next(({ event }) => (event as { id?: string } | undefined)?.id === id);
    watch.close();
  });
});

describe('durable readers', () => {
  const running = (server: TestServer) =>
    server.app
      .get(JournalReaders)
      .all.filter(({ isRunning, name }) => isRunning && name !== 'live')
      .map(({ name }) => name);

  it('run on one instance at a time, and go on in another one; housekeeping too', async () => {
    const first = await one.startAnother();
    const names = [...new Set([...running(one), ...running(other), ...running(first)])];
    expect(names).toContain('webhooks');
    for (const name of names) {
      const owners = [one, other, first].filter((server) => running(server).includes(name));
      expect(owners, name).toHaveLength(1);
    }
    const reports = [];
    for (const { app } of [one, other, first]) {
      await app.get(Reconciliation).run();
      reports.push(app.get(Reconciliation).latest);
    }
    expect(reports.filter((report) => report !== undefined)).toHaveLength(1);
    // Whoever has them gives them all up; somebody else takes each of them.
    const owner = [one, other, first].find((server) => running(server).includes('webhooks')) as TestServer;
    await owner.app.get(Instances).leave();
    const others = [one, other, first].filter((server) => server !== owner);
    await expect
      .poll(() => others.filter((server) => running(server).includes('webhooks')).length, { timeout: 10_000 })
      .toBe(1);
    await first.close();
  });
});

describe('events that retention has removed', () => {
  it('are gone in every instance', async () => {
    const { id } = await publish(one, 'old');
    const { id: newest } = await publish(other, 'new');
    const idsAt = async ({ api }: TestServer) =>
      ((await api.get('/events?order=desc&limit=10', admin)).body.data.items as { id: string }[]).map(
        (item) => item.id,
      );
    expect(await idsAt(other)).toContain(id);
    const seq = await one.app.get(EventJournal).top();
    expect(await one.app.get(EventJournal).removeBefore('9999-01-01', seq - 1)).toBeGreaterThan(1);
    await expect.poll(() => idsAt(other)).toEqual([newest]);
    expect(await idsAt(one)).toEqual([newest]);
  });
});

describe('rate limits', () => {
  it('count what a key asks of all instances together', async () => {
    const limits = { RATE_LIMIT_MAX: '8', AUTH_RATE_LIMIT_MAX: '0', RATE_LIMIT_WINDOW_MS: '60000' };
    const { body } = await one.api.post('/api-keys', { name: 'shared', scopes: ['events:read'] }, admin);
    const [first, second] = [await one.startAnother(limits), await one.startAnother(limits)];
    const answers = await Promise.all(
      [first, second].map(async (server) => {
        const socket = await server.webSocket();
        socket.send(...Array.from({ length: 8 }, () => ({ type: 'auth', apiKey: body.data.rawKey as string })));
        const types: unknown[] = [];
        for (let n = 0; n < 8; n += 1) types.push((await socket.next()).type);
        return types;
      }),
    );
    expect(answers.flat().filter((type) => type === 'auth')).toHaveLength(8);
    await second.close();
    await first.close();
  });

  it('count what an address asks of all instances together', async () => {
    const limits = { AUTH_RATE_LIMIT_MAX: '4', RATE_LIMIT_WINDOW_MS: '60000' };
    const [first, second] = [await one.startAnother(limits), await one.startAnother(limits)];
    const statuses = await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        const { api } = n % 2 === 0 ? first : second;
        return (await api.post('/auth/login', { email: 'nobody@example.com', password: 'x' })).status;
      }),
    );
    expect(statuses.filter((status) => status === 429)).toHaveLength(4);
    await second.close();
    await first.close();
  });
});
