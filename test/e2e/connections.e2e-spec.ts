import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ADMIN, TestServer } from '../support/server.js';
import type { WsClient } from '../support/ws-client.js';

let server: TestServer;
let admin: string;
async function start(environment: Record<string, string> = {}): Promise<void> {
  server = await TestServer.start(environment);
  admin = (await server.api.login(ADMIN)).accessToken;
}
const newTicket = async (token: string) =>
  (await server.api.post('/events/stream-tickets', undefined, token)).body.data as {
    ticket: string;
    expiresAt: number;
  };
const webSocketWith = async (query: string): Promise<WsClient> => server.webSocket({}, `/ws?${query}`);

describe('a ticket for a stream', () => {
  beforeAll(() => start());
  afterAll(() => server.close());

  it('opens one stream in the place of its owner, within 30 seconds', async () => {
    const user = await server.api.register();
    const { ticket, expiresAt } = await newTicket(user.accessToken);
    expect(expiresAt - Date.now()).toBeGreaterThan(25_000);
    expect(expiresAt - Date.now()).toBeLessThanOrEqual(30_000);
    const stream = await server.stream({ query: { ticket } });
    expect(stream.response.status).toBe(200);
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await stream.nextEvent('login.failed');
    expect((await server.stream({ query: { ticket } })).response.status).toBe(401);
    // It dies with what it was taken with.
    const late = await newTicket(user.accessToken);
    await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    await stream.nextEvent('stream.end');
    expect((await server.stream({ query: { ticket: late.ticket } })).response.status).toBe(401);
  });

  it('opens one WebSocket, in a message or in the URL, which nothing can overtake', async () => {
    const user = await server.api.register();
    const inMessage = await server.webSocket();
    inMessage.send({ type: 'auth', ticket: (await newTicket(user.accessToken)).ticket, requestId: 'r' });
    expect(await inMessage.next()).toEqual({ type: 'auth', ok: true, userId: user.id, requestId: 'r' });

    const { ticket } = await newTicket(user.accessToken);
    const inUrl = await webSocketWith(`ticket=${ticket}`);
    inUrl.send({ type: 'subscribe', events: ['logout'] });
    expect(await inUrl.next()).toEqual({ type: 'auth', ok: true, userId: user.id });
    expect(await inUrl.next()).toEqual({ type: 'subscribed', events: ['logout'] });

    const used = await webSocketWith(`ticket=${ticket}`);
    used.send({ type: 'subscribe', events: ['logout'] });
    expect(await used.next()).toEqual({ type: 'auth', ok: false });
    expect(await used.next()).toEqual({ type: 'error', code: 'UNAUTHORIZED', message: 'Authentication required' });
  });

  it('of an API key is worth what the key is, and is asked for with events:read alone', async () => {
    const user = await server.api.register();
    const key = async (scope: string) =>
      (await server.api.post('/api-keys', { name: 'x', scopes: [scope] }, user.accessToken)).body.data;
    const { key: made, rawKey } = await key('events:read');
    const ask = (apiKey: string) =>
      server.api.call('POST', '/events/stream-tickets', { headers: { 'X-API-Key': apiKey } });
    const { body } = await ask(rawKey as string);
    const stream = await server.stream({ query: { ticket: body.data.ticket as string } });
    expect(stream.response.status).toBe(200);
    await server.api.delete(`/api-keys/${made.id}`, user.accessToken);
    await stream.nextEvent('stream.end');
    expect((await ask((await key('users:read')).rawKey as string)).status).toBe(403);
  });

  it('once of ten times at once', async () => {
    const { ticket } = await newTicket((await server.api.register()).accessToken);
    const streams = await Promise.all(Array.from({ length: 10 }, () => server.stream({ query: { ticket } })));
    expect(streams.filter(({ response }) => response.status === 200)).toHaveLength(1);
  });
});

describe('the number of live connections', () => {
  afterEach(() => server.close());

  it('of one account is limited, on both transports together, and a closed one makes room', async () => {
    await start({ REALTIME_MAX_CONNECTIONS_PER_USER: '2' });
    const user = await server.api.register();
    const [socket, stream] = [
      await server.subscriber(user.accessToken),
      await server.stream({ token: user.accessToken }),
    ];
    await stream.next();
    const refused = await server.stream({ token: user.accessToken });
    expect(refused.response.status).toBe(429);
    expect(Number(refused.response.headers.get('retry-after'))).toBeGreaterThan(0);
    const second = await server.webSocket();
    second.send({ type: 'auth', token: user.accessToken });
    expect(await second.closed).toEqual({ code: 1008, reason: 'Too many live connections of this account' });
    // Others have theirs.
    await server.subscriber(admin);
    socket.close();
    await expect.poll(async () => (await server.stream({ token: user.accessToken })).response.status).toBe(200);
  });

  it('from one address is limited, whoever it is, before authentication too', async () => {
    await start({ REALTIME_MAX_CONNECTIONS_PER_ADDRESS: '2' });
    await server.webSocket();
    const second = await server.webSocket();
    const third = await server.webSocket();
    expect(await third.closed).toEqual({ code: 1008, reason: 'Too many live connections from this address' });
    expect((await server.stream({ token: admin })).response.status).toBe(429);
    second.close();
    await expect.poll(async () => (await server.stream({ token: admin })).response.status).toBe(200);
  });

  it('behind a proxy counts the addresses that the proxy names', async () => {
    await start({ REALTIME_MAX_CONNECTIONS_PER_ADDRESS: '1', TRUST_PROXY: 'loopback' });
    const from = (address: string) => server.webSocket({ 'X-Forwarded-For': address });
    const [one, other] = [await from('203.0.113.1'), await from('203.0.113.2')];
    expect(await (await from('203.0.113.1')).closed).toMatchObject({ code: 1008 });
    for (const socket of [one, other]) await socket.settle();
  });

  it('of the process is limited', async () => {
    await start({ REALTIME_MAX_CONNECTIONS: '1' });
    const stream = await server.stream({ token: admin });
    await stream.next();
    expect((await server.stream({ token: admin })).response.status).toBe(429);
    const socket = await server.webSocket();
    expect(await socket.closed).toEqual({ code: 1013, reason: 'The server has too many live connections' });
  });

  it('that have not authenticated, of one address, is limited; who authenticates makes room', async () => {
    await start({ REALTIME_MAX_UNAUTHENTICATED_PER_ADDRESS: '1' });
    const first = await server.webSocket();
    const reason = 'Too many connections from this address that have not authenticated';
    expect(await (await server.webSocket()).closed).toEqual({ code: 1008, reason });
    // A stream comes with its credentials.
    await (await server.stream({ token: admin })).next();
    first.send({ type: 'auth', token: admin });
    await first.next(({ type }) => type === 'auth');
    const second = await server.webSocket();
    await second.settle();
    expect(await (await server.webSocket()).closed).toEqual({ code: 1008, reason });
    second.close();
    await expect.poll(async () => (await server.webSocket()).socket.readyState).toBe(second.socket.OPEN);
  });
});

describe('live connections in the hands of admins', () => {
  beforeAll(() => start());
  afterAll(() => server.close());

  it('are listed with who, from where, and what for; and closed', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken, ['login.*']);
    const stream = await server.stream({ token: user.accessToken });
    await stream.next();
    const { connections } = (await server.api.get('/realtime/connections', admin)).body.data;
    const mine = connections.filter(({ userId }: { userId: string }) => userId === user.id);
    expect(mine).toEqual([
      expect.objectContaining({ transport: 'websocket', ip: '127.0.0.1', events: ['login.*'], bufferedBytes: 0 }),
      expect.objectContaining({ transport: 'sse', ip: '127.0.0.1', events: ['*'], lastEventId: null }),
    ]);
    for (const { id } of mine) {
      expect((await server.api.delete(`/realtime/connections/${id}`, admin)).status).toBe(204);
    }
    expect((await socket.closed).code).toBe(4403);
    expect((await stream.nextEvent('stream.end')).data).toBe('{"reason":"revoked","reconnect":false}');
    expect((await server.api.delete(`/realtime/connections/${mine[0].id}`, admin)).status).toBe(404);
    const { items } = (await server.api.get('/audit?type=connection.closed', admin)).body.data;
    expect(items.map(({ subject }: { subject: string }) => subject)).toEqual([user.id, user.id]);
  });
});

describe('a token that expires', () => {
  it('is told of 30 seconds before, once, and a new one goes on without a gap', async () => {
    await start({ JWT_EXPIRES_IN: '1h' });
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    const stream = await server.stream({ token: user.accessToken });
    await stream.next();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_575_000 });
    const second = await socket.next(({ type }) => type === 'auth').finally(() => vi.useRealTimers());
    expect(second).toEqual({ type: 'auth', expiring: true, expiresAt: expect.any(Number) });
    const { data } = await stream.nextEvent('stream.expiring');
    expect(JSON.parse(data ?? '')).toEqual({ expiresAt: second['expiresAt'] });
    const { accessToken } = await server.api.login(user);
    socket.send({ type: 'auth', token: accessToken });
    expect(await socket.next(({ type }) => type === 'auth')).toMatchObject({ ok: true });
    expect(socket.received.filter(({ expiring }) => expiring)).toHaveLength(1);
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await socket.nextEvent('login.failed');
    await server.close();
  });
});
