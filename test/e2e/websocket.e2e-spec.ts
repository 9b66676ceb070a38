import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { EVENT_TYPES } from '../../src/events/catalogue.js';
import { EventBus } from '../../src/events/event-bus.js';
import type { TestUser } from '../support/api.js';
import { ADMIN, TestServer } from '../support/server.js';
import type { WsMessage } from '../support/ws-client.js';

describe('the WebSocket protocol', () => {
  let server: TestServer;
  let user: TestUser;
  beforeAll(async () => {
    server = await TestServer.start({ WS_MAX_MESSAGES_PER_MINUTE: '0' });
  });
  beforeEach(async () => {
    user = await server.api.register();
  });
  afterAll(() => server.close());

  it('auth, subscribe, unsubscribe and ping answer as the specification shows', async () => {
    const socket = await server.webSocket();
    socket.send({ type: 'ping' });
    expect(await socket.next()).toStrictEqual({ type: 'pong' });
    socket.send({ type: 'auth', token: user.accessToken });
    expect(await socket.next()).toStrictEqual({ type: 'auth', ok: true, userId: user.id });
    socket.send({ type: 'subscribe', events: ['user.registered', 'login.failed'] });
    expect(await socket.next()).toStrictEqual({ type: 'subscribed', events: ['user.registered', 'login.failed'] });
    socket.send({ type: 'subscribe', events: ['login.failed', 'mfa.*'] });
    expect(await socket.next()).toStrictEqual({
      type: 'subscribed',
      events: ['user.registered', 'login.failed', 'mfa.*'],
    });
    socket.send({ type: 'unsubscribe', events: ['login.failed', 'logout'] });
    expect(await socket.next()).toStrictEqual({ type: 'subscribed', events: ['user.registered', 'mfa.*'] });
  });

  it('echoes requestId on every kind of answer', async () => {
    const socket = await server.webSocket();
    const requestId = 'r-1';
    socket.send(
      { type: 'ping', requestId },
      { type: 'subscribe', requestId },
      { type: 'auth', token: 'wrong', requestId },
      { type: 'auth', token: user.accessToken, requestId },
      { type: 'subscribe', events: ['logout'], requestId },
      { type: 'subscribe', events: ['nope'], requestId },
      { type: 'unsubscribe', events: ['logout'], requestId },
      { type: 'dance', requestId },
    );
    for (let n = 0; n < 8; n += 1) expect(await socket.next()).toMatchObject({ requestId });
  });

  it('handles pipelined messages in their order: auth and subscribe back to back, over and over', async () => {
    for (let round = 0; round < 20; round += 1) {
      const socket = await server.webSocket();
      socket.send(
        { type: 'auth', token: user.accessToken },
        { type: 'subscribe', events: ['login.*'] },
        { type: 'unsubscribe', events: ['login.*'] },
        { type: 'subscribe', events: ['logout'] },
        { type: 'ping' },
      );
      const types = [];
      for (let n = 0; n < 5; n += 1) types.push((await socket.next()).type);
      expect(types).toEqual(['auth', 'subscribed', 'subscribed', 'subscribed', 'pong']);
      expect(socket.received[3]).toMatchObject({ events: ['logout'] });
      socket.close();
    }
  });

  it('refuses everything but auth and ping before auth', async () => {
    const socket = await server.webSocket();
    socket.send(
      { type: 'subscribe', events: ['*'] },
      { type: 'unsubscribe', events: ['*'] },
      { type: 'dance' },
      { a: 1 },
    );
    for (let n = 0; n < 4; n += 1) {
      expect(await socket.next()).toStrictEqual({
        type: 'error',
        code: 'UNAUTHORIZED',
        message: 'Authentication required',
      });
    }
  });

  it('answers a bad token with ok:false, stays open, and never repeats the token', async () => {
    const socket = await server.webSocket();
    socket.send({ type: 'auth', token: user.refreshToken }, { type: 'auth', token: 'x.y.z' });
    expect(await socket.next()).toStrictEqual({ type: 'auth', ok: false });
    expect(await socket.next()).toStrictEqual({ type: 'auth', ok: false });
    socket.send({ type: 'auth', token: user.accessToken });
    expect(await socket.next()).toMatchObject({ type: 'auth', ok: true });
    const other = await server.api.register();
    socket.send({ type: 'auth', token: other.accessToken });
    expect(await socket.next()).toStrictEqual({ type: 'auth', ok: false });
    expect(JSON.stringify(socket.received)).not.toContain(user.refreshToken);
  });

  it.each([
    ['not json', /not valid JSON/, 'BAD_REQUEST'],
    ['', /not valid JSON/, 'BAD_REQUEST'],
    ['{"type":"ping"', /not valid JSON/, 'BAD_REQUEST'],
    ['null', /JSON object/, 'BAD_REQUEST'],
    ['[]', /JSON object/, 'BAD_REQUEST'],
    ['42', /JSON object/, 'BAD_REQUEST'],
    ['"ping"', /JSON object/, 'BAD_REQUEST'],
    ['{"type":"ping","type":"auth"}', /"type" appears twice/, 'BAD_REQUEST'],
    ['{"type":"dance"}', /known types: auth, subscribe, unsubscribe, ping/],
    ['{"type":5}', /known types/],
    ['{"type":"constructor"}', /known types/],
    ['{}', /known types/],
    ['{"type":"auth"}', /token/],
    ['{"type":"auth","token":null}', /token/],
    ['{"type":"auth","token":{}}', /token/],
    ['{"type":"subscribe"}', /events/],
    ['{"type":"subscribe","events":[]}', /events/],
    ['{"type":"subscribe","events":"login.failed"}', /events/],
    ['{"type":"subscribe","events":[1,null]}', /events/],
    ['{"type":"subscribe","events":["*"],"lastEventId":7}', /lastEventId/],
    ['{"type":"subscribe","events":["*"],"lastEventId":"evt-nope"}', /never an event's id/],
    ['{"type":"unsubscribe","events":["nope"]}', /not an event/],
    ['{"type":"ping","requestId":5}', /requestId/],
  ])('answers %s with an error that says how to mend it', async (text, message, code = 'VALIDATION') => {
    const socket = await server.webSocket();
    socket.send({ type: 'auth', token: user.accessToken }, text, { type: 'ping' });
    await socket.next();
    const answer = await socket.next();
    expect(answer).toMatchObject({ type: 'error', code, message: expect.stringMatching(message) });
    expect(await socket.next()).toStrictEqual({ type: 'pong' });
  });

  it('says by codes what a program can act on', async () => {
    const socket = await server.webSocket();
    const lastEventId = 'evt-0199a1b2-0000-7000-8000-000000000001';
    socket.send(
      { type: 'auth', token: user.accessToken },
      { type: 'subscribe', events: ['*'], lastEventId },
      { type: 'subscribe', events: [7], requestId: 'r' },
    );
    await socket.next();
    const message = `"${lastEventId}" was never an event's id`;
    const details = [{ field: 'lastEventId', code: 'CURSOR_UNKNOWN', message }];
    expect(await socket.next()).toStrictEqual({ type: 'error', code: 'VALIDATION', message, details });
    const shapeless = { type: 'error', code: 'VALIDATION', message: expect.any(String), requestId: 'r' };
    expect(await socket.next()).toStrictEqual(shapeless);
  });

  it('answers a binary frame with an error', async () => {
    const socket = await server.webSocket();
    socket.socket.send(Buffer.from('{"type":"ping"}'), { binary: true });
    expect(await socket.next()).toMatchObject({ type: 'error', message: expect.stringMatching(/Binary/) });
  });

  it('subscribes to nothing of a message that has one unknown name, and lists the valid ones', async () => {
    const socket = await server.subscriber(user.accessToken, ['logout']);
    socket.send({ type: 'subscribe', events: ['login.failed', 'login.exploded'] });
    const { message } = await socket.next();
    for (const type of EVENT_TYPES) expect(message).toContain(type);
    socket.send({ type: 'subscribe', events: ['logout'] });
    expect(await socket.next()).toStrictEqual({ type: 'subscribed', events: ['logout'] });
  });

  it('delivers by exact name, prefix and star, each event once', async () => {
    const { accessToken } = await server.api.login(ADMIN);
    const [exact, prefix, star, overlap] = await Promise.all([
      server.subscriber(accessToken, ['login.failed']),
      server.subscriber(accessToken, ['login.*']),
      server.subscriber(accessToken, ['*']),
      server.subscriber(accessToken, ['*', 'login.*', 'login.failed']),
    ]);
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await server.api.login(user);
    await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    await star.nextEvent('logout');
    await Promise.all([exact, prefix, overlap].map((socket) => socket.settle()));
    expect(exact.events).toEqual(['login.failed']);
    expect(prefix.events).toEqual(['login.failed', 'login.success']);
    expect(star.events).toEqual(['login.failed', 'login.success', 'logout']);
    expect(overlap.events).toEqual(['login.failed', 'login.success', 'logout']);
  });

  it('shows an owner its own events, a stranger none of them, an admin all', async () => {
    const [admin, stranger] = [await server.api.login(ADMIN), await server.api.register()];
    const [seesAll, seesOwn, seesNothing] = await Promise.all([
      server.subscriber(admin.accessToken),
      server.subscriber(user.accessToken),
      server.subscriber(stranger.accessToken),
    ]);
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    const victim = await server.api.register();
    await server.api.login(user);
    await seesOwn.nextEvent('login.success');
    await seesNothing.settle();
    expect(seesAll.events).toEqual(['login.failed', 'user.registered', 'login.success']);
    expect(seesOwn.events).toEqual(['login.failed', 'login.success']);
    expect(seesNothing.events).toEqual([]);
    expect(JSON.stringify(seesOwn.received)).not.toContain(victim.id);
  });

  it('follows a changed address: the new one’s events are seen, the old one’s no more', async () => {
    const socket = await server.subscriber(user.accessToken);
    const email = `moved-${user.email}`;
    await server.api.patch('/users/me', { email }, user.accessToken);
    await socket.nextEvent('user.updated');
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await server.api.post('/auth/login', { email, password: 'x' });
    await socket.nextEvent('login.failed');
    await socket.settle();
    expect(socket.received.filter(({ type }) => type === 'event').map(({ event }) => event)).toMatchObject([
      { type: 'user.updated' },
      { type: 'login.failed', payload: { email } },
    ]);
  });

  describe('replay', () => {
    it('gives what was missed, in order and once, then goes on live', async () => {
      const first = await server.subscriber(user.accessToken);
      await server.api.login(user);
      const seen = ((await first.nextEvent('login.success'))['event'] as { id: string }).id;
      first.close();
      for (let n = 0; n < 3; n += 1) await server.api.login(user);

      const second = await server.webSocket();
      second.send(
        { type: 'auth', token: user.accessToken },
        { type: 'subscribe', events: ['login.*'], lastEventId: seen },
      );
      await second.next();
      expect(await second.next()).toStrictEqual({ type: 'subscribed', events: ['login.*'] });
      for (let n = 0; n < 3; n += 1) await second.nextEvent('login.success');
      expect(await second.next()).toStrictEqual({ type: 'replayed', count: 3, complete: true });
      await server.api.login(user);
      await second.nextEvent('login.success');
      await second.settle();
      expect(second.events).toHaveLength(4);
    });

    it('repeats nothing the connection already had, when asked again with a wider filter', async () => {
      const socket = await server.subscriber(user.accessToken, ['login.success']);
      await server.api.post('/auth/login', { email: user.email, password: 'x' });
      await server.api.login(user);
      const frame = await socket.nextEvent('login.success');
      const page = await server.api.get('/events?limit=1', user.accessToken);
      const [{ id: registered }] = page.body.data.items as [{ id: string }];
      socket.send({ type: 'subscribe', events: ['*'], lastEventId: registered });
      const replayed = await socket.next(({ type }) => type === 'replayed');
      expect(replayed).toStrictEqual({ type: 'replayed', count: 1, complete: true });
      expect(socket.events).toEqual(['login.success', 'login.failed']);
      expect(frame['event']).toMatchObject({ type: 'login.success' });
    });

    it('of a cursor at the end, or of an event the caller cannot see, works', async () => {
      const admin = await server.api.login(ADMIN);
      const all = await server.api.get('/events?limit=200&type=login.success', admin.accessToken);
      const last = (all.body.data.items as { id: string }[]).at(-1)?.id;
      const socket = await server.webSocket();
      socket.send({ type: 'auth', token: user.accessToken }, { type: 'subscribe', events: ['*'], lastEventId: last });
      expect(await socket.next(({ type }) => type === 'replayed')).toStrictEqual({
        type: 'replayed',
        count: 0,
        complete: true,
      });
    });

    it('under load: every client that joins with a cursor has the journal’s exact sequence', async () => {
      const admin = await server.api.login(ADMIN);
      const marker = await server.subscriber(admin.accessToken, ['login.*']);
      await server.api.post('/auth/login', { email: 'start@example.com', password: 'x' });
      const { id: start } = (await marker.nextEvent('login.failed'))['event'] as { id: string };
      const load = Promise.all(
        Array.from({ length: 150 }, (_, n) =>
          server.api.post('/auth/login', { email: `load-${n}@example.com`, password: 'x' }),
        ),
      );
      const clients = [];
      for (let n = 0; n < 12; n += 1) {
        await marker.next();
        const client = await server.webSocket();
        client.send(
          { type: 'auth', token: admin.accessToken },
          { type: 'subscribe', events: ['login.failed'], lastEventId: start },
        );
        clients.push(client);
      }
      await load;
      await server.api.post('/auth/login', { email: 'end@example.com', password: 'x' });
      const idOf = (message: WsMessage) => (message['event'] as { id: string } | undefined)?.id;
      const page = await server.api.get(`/events?limit=200&type=login.failed&after=${start}`, admin.accessToken);
      const journal = (page.body.data.items as { id: string }[]).map(({ id }) => id);
      expect(journal).toHaveLength(151);
      for (const client of clients) {
        await client.next((message) => idOf(message) === journal.at(-1));
        expect(client.received.flatMap((message) => idOf(message) ?? [])).toEqual(journal);
      }
    });
  });

  it('repeats nothing when subscriptions overlap, one sent right behind the other', async () => {
    const cursor = await server.app.get(EventBus).publish('logout', { userId: user.id });
    await server.app.get(EventBus).publish('login.success', { userId: user.id, email: user.email });
    const socket = await server.webSocket();
    const lastEventId = cursor.id;
    socket.send(
      { type: 'auth', token: user.accessToken },
      { type: 'subscribe', events: ['*'], lastEventId },
      { type: 'subscribe', events: ['login.*'], lastEventId },
    );
    await socket.settle();
    expect(socket.events).toEqual(['login.success']);
  });

  describe('closes', () => {
    it('4403 after the logout event of the connection’s own session, and no other session', async () => {
      const other = await server.api.login(user);
      const [mine, theirs] = [await server.subscriber(user.accessToken), await server.subscriber(other.accessToken)];
      await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
      await mine.nextEvent('logout');
      expect(await mine.closed).toMatchObject({ code: 4403 });
      await theirs.nextEvent('logout');
      await theirs.settle();
    });

    it('1009 on a message that is too large', async () => {
      const socket = await server.webSocket();
      socket.send({ type: 'auth', token: 'x'.repeat(20_000) });
      expect(await socket.closed).toMatchObject({ code: 1009 });
    });

    it('1007 on bad UTF-8, 1002 on a bad frame; the others live on', async () => {
      const witness = await server.subscriber(user.accessToken);
      for (const [bytes, code] of [
        [[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007],
        [[0x83, 0x80, 0, 0, 0, 0], 1002],
        [[0x81, 0x00], 1002],
      ] as const) {
        const socket = await server.webSocket();
        (socket.socket as unknown as { _socket: { write(data: Buffer): void } })._socket.write(Buffer.from(bytes));
        expect(await socket.closed).toMatchObject({ code });
      }
      await witness.settle();
    });
  });

  it('answers an upgrade to an unknown path with 404, and garbage with 400', async () => {
    const stray = new WebSocket(`${server.url.replace('http', 'ws')}/nowhere?token=secret`);
    const [, response] = (await once(stray, 'unexpected-response')) as [unknown, import('node:http').IncomingMessage];
    expect(response.statusCode).toBe(404);
    let body = '';
    for await (const chunk of response) body += String(chunk);
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'NOT_FOUND' }, requestId: expect.any(String) });
    expect(body).not.toContain('secret');

    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write('GET /ws HTTP/1.1\r\nHost: [\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(
      /^HTTP\/1\.1 400[^]*"code":"BAD_REQUEST","message":"This is no WebSocket handshake/,
    );
    socket.resetAndDestroy();
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });
});

describe('WebSocket limits', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({
      WS_AUTH_TIMEOUT_MS: '1500',
      WS_PING_INTERVAL_MS: '100',
      WS_MAX_MESSAGES_PER_MINUTE: '20',
      JWT_EXPIRES_IN: '4s',
      CORS_ORIGINS: 'https://app.example.com',
      REALTIME_MAX_BUFFERED_BYTES: '16384',
    });
  });
  afterAll(() => server.close());

  it('4401 without auth in time', async () => {
    const socket = await server.webSocket();
    expect(await socket.closed).toMatchObject({ code: 4401 });
  });

  it('4401 when the token expires, unless it is refreshed in place', async () => {
    const user = await server.api.register();
    const [left, refreshed] = [await server.subscriber(user.accessToken), await server.subscriber(user.accessToken)];
    const next = (await server.api.post('/auth/refresh', { refreshToken: user.refreshToken })).body.data;
    // A token's lifetime has whole seconds: this one ends at least a second after the first.
    while (expiryOf(next.accessToken) === expiryOf(user.accessToken)) {
      Object.assign(next, (await server.api.post('/auth/refresh', { refreshToken: next.refreshToken })).body.data);
    }
    refreshed.send({ type: 'auth', token: next.accessToken });
    expect(await refreshed.next()).toMatchObject({ type: 'auth', ok: true });
    expect(await left.closed).toMatchObject({ code: 4401 });
    await refreshed.settle();
    expect(await refreshed.closed).toMatchObject({ code: 4401 });
  });

  it('1008 for a foreign origin; the allowed one, the own one and none are let in', async () => {
    const foreign = await server.webSocket({ Origin: 'https://evil.example.com' });
    expect(await foreign.closed).toMatchObject({ code: 1008 });
    for (const headers of [{}, { Origin: 'https://app.example.com' }, { Origin: server.url }]) {
      const socket = await server.webSocket(headers);
      await socket.settle();
    }
  });

  it('1008 for too many messages', async () => {
    const socket = await server.webSocket();
    for (let n = 0; n < 21; n += 1) socket.send({ type: 'ping' });
    expect(await socket.closed).toMatchObject({ code: 1008 });
    expect(socket.received.length).toBeLessThanOrEqual(20);
  });

  it('4408 when protocol pings stay unanswered', async () => {
    const user = await server.api.register();
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, { autoPong: false });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'auth', token: user.accessToken }));
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(4408);
  });
});

function expiryOf(token: string): number {
  return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp: number }).exp;
}
