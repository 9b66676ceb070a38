import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Authenticator } from '../../src/auth/authenticator.service.js';
import type { Auth, ClientOptions } from '../../src/client/herald-client.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventJournal } from '../../src/events/event-journal.service.js';
import { RealtimeHub } from '../../src/realtime/realtime-hub.service.js';
import { FollowedClient, numbers, publishFailures } from '../support/followed-client.js';
import { ADMIN, TestServer } from '../support/server.js';

afterEach(() => FollowedClient.closeAll());

describe.each(['websocket', 'sse'] as const)('the network of a client over %s', (transport) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ SSE_HEARTBEAT_MS: '300', REALTIME_MAX_BUFFERED_BYTES: '4194304' });
  });
  afterAll(() => server.close());
  const follow = (auth: Auth, options: ClientOptions = {}) =>
    FollowedClient.of(server, { transport, auth, ...options });
  const admin = () => server.api.login(ADMIN);

  it('misses nothing behind a proxy that cuts idle connections, and late pieces change no order', async () => {
    const via = await FollowedClient.proxy(server);
    via.conduct = { idleMs: 200, delayMs: 20 };
    const followed = await follow(await admin(), { url: via.url }).live();
    for (let n = 1; n <= 3; n += 1) {
      await followed.next('waiting');
      await publishFailures(server, n * 10 + 1, n * 10 + 10);
      await followed.next('live');
    }
    await followed.failureOf('40@example.com');
    expect(followed.failures).toEqual(numbers(11, 40));
    expect(followed.gaps.all).toEqual([]);
  });

  it('notices a connection that is dead although nobody closed it', async () => {
    const via = await FollowedClient.proxy(server);
    const followed = await follow(await admin(), { url: via.url, heartbeatMs: 400, timeoutMs: 1000 }).live();
    await publishFailures(server, 1, 1);
    await followed.failureOf('1@example.com');
    via.silence();
    await publishFailures(server, 2, 3);
    expect(await followed.next('waiting')).toMatchObject({ reason: 'silence' });
    await followed.failureOf('3@example.com');
    expect(followed.failures).toEqual(['1', '2', '3']);
  });

  it('gives up an attempt to which nobody answers', async () => {
    const via = await FollowedClient.proxy(server);
    const followed = follow(await admin(), { url: via.url, timeoutMs: 500 });
    via.conduct = { swallows: true };
    followed.client.connect();
    expect(await followed.next('waiting')).toMatchObject({ reason: 'network' });
    via.conduct = {};
    await followed.next('live');
  });

  it('that is too slow for it is resumed from where it was', async () => {
    const via = await FollowedClient.proxy(server);
    const followed = await follow(await admin(), { url: via.url }).live();
    via.stall();
    // 24 MB, more than the buffers of the sockets in between take.
    const many = 1600;
    await server.app.get(UnitOfWork).run(async () => {
      for (let n = 1; n <= many; n += 1) {
        await server.app.get(EventBus).publish('login.failed', { email: `${n}@${'x.'.repeat(7500)}example.com` });
      }
    });
    // Ended it takes nothing more: what waits for it stays the same.
    let before = 0;
    const isEnded = (): boolean => {
      const [{ bufferedBytes } = { bufferedBytes: 0 }] = server.app.get(RealtimeHub).list();
      const isSame = bufferedBytes > 0 && bufferedBytes === before;
      before = bufferedBytes;
      return isSame;
    };
    await expect.poll(isEnded, { timeout: 10_000, interval: 300 }).toBe(true);
    via.flow();
    await expect.poll(() => followed.failures.length, { timeout: 15_000 }).toBe(many);
    expect(followed.failures).toEqual(numbers(1, many));
    expect(followed.states.all).toContainEqual(expect.objectContaining({ status: 'waiting', reason: 'slow_consumer' }));
  });

  it('comes back after a fault of the service while it authenticates', async () => {
    const tokens = await admin();
    const { data } = (await server.api.get('/events?order=desc&limit=1', tokens.accessToken)).body;
    const followed = follow(tokens, { lastEventId: data.items[0].id });
    vi.spyOn(server.app.get(Authenticator), 'authenticate').mockRejectedValueOnce(new Error('database is locked'));
    followed.client.connect();
    await expect.poll(() => followed.statuses).toEqual(['connecting', 'waiting', 'connecting', 'live']);
    const message = 'Something went wrong on our side';
    expect(followed.states.all[1]).toMatchObject({
      reason: 'error',
      error: { code: 'INTERNAL', status: 500, message },
    });
  });

  it('keeps its cursor when the service cannot look for it', async () => {
    const tokens = await admin();
    const { data } = (await server.api.get('/events?order=desc&limit=1', tokens.accessToken)).body;
    await publishFailures(server, 1, 3);
    vi.spyOn(server.app.get(EventJournal), 'locate').mockRejectedValueOnce(new Error('database is locked'));
    const followed = await follow(tokens, { lastEventId: data.items[0].id }).live();
    await publishFailures(server, 4, 4);
    await followed.failureOf('4@example.com');
    expect(followed.failures).toEqual(numbers(1, 4));
    expect(followed.gaps.all).toEqual([]);
    expect(followed.statuses).toEqual(['connecting', 'waiting', 'connecting', 'live']);
  });

  it('is full: it comes back later', async () => {
    await server.restart({ REALTIME_MAX_CONNECTIONS: '1' });
    const tokens = await admin();
    const first = await follow(tokens).live();
    const second = follow(tokens, { backoff: { baseMs: 50, busyMs: 60_000 } });
    second.client.connect();
    const { reason, retryAt, error } = await second.next('waiting');
    expect([reason, error?.message]).toEqual(['busy', 'The server has too many live connections']);
    // A stream is told how long; a WebSocket goes by its own.
    expect(retryAt - Date.now()).toBeGreaterThan(transport === 'sse' ? 29_000 : 59_000);
    first.client.close();
    await expect.poll(() => closes(server, transport === 'sse' ? 'left' : '1005')).toBe(1);
    second.client.close();
    await second.live();
    await server.restart({ REALTIME_MAX_CONNECTIONS: '0' });
  });
});

/** How many connections ended for a reason. */
async function closes({ url }: TestServer, code: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`herald_realtime_closes_total\\{[^}]*code="${code}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
}

describe('the transport', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.close());

  it('is a WebSocket where there is one, else a stream', async () => {
    const { client } = await FollowedClient.of(server, { auth: await server.api.register() }).live();
    expect(client.state).toMatchObject({ transport: 'websocket' });
    const without = { auth: await server.api.register(), WebSocket: undefined as never };
    const stream = await FollowedClient.of(server, without).live();
    expect(stream.client.state).toMatchObject({ transport: 'WebSocket' in globalThis ? 'websocket' : 'sse' });
  });

  it('is a stream where a proxy lets no WebSocket through', async () => {
    const via = await FollowedClient.proxy(server);
    via.conduct = { refusesUpgrades: true };
    const followed = await FollowedClient.of(server, { url: via.url, auth: await server.api.register() }).live();
    expect(followed.client.state).toMatchObject({ transport: 'sse' });
    expect(followed.states.all.filter(({ status }) => status === 'waiting')).toHaveLength(2);
  });
});
