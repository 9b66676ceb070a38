import { EventSource } from 'eventsource';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { EVENT_TYPES } from '../../src/events/catalogue.js';
import { RealtimeHub } from '../../src/realtime/realtime-hub.service.js';
import type { TestUser } from '../support/api.js';
import { Inbox } from '../support/inbox.js';
import { ADMIN, TestServer } from '../support/server.js';

describe('the event stream', () => {
  let server: TestServer;
  let user: TestUser;
  beforeAll(async () => {
    server = await TestServer.start({ SSE_HEARTBEAT_MS: '150' });
  });
  beforeEach(async () => {
    user = await server.api.register();
  });
  afterAll(() => server.close());

  it('starts at once with the contract’s headers and a retry of its own', async () => {
    const stream = await server.stream({ token: user.accessToken });
    const { status, headers } = stream.response;
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/event-stream');
    expect(headers.get('cache-control')).toBe('no-cache');
    expect(headers.get('connection')).toBe('keep-alive');
    expect(headers.get('x-accel-buffering')).toBe('no');
    expect(headers.get('x-request-id')).toMatch(/^[\w-]+$/);
    expect((await stream.next()).text).toMatch(/^retry: \d{4}$/);
    expect((await stream.next()).text).toBe(':heartbeat');
    expect((await stream.next()).text).toBe(':heartbeat');
  });

  it('takes its token from the header or from ?token=', async () => {
    for (const options of [{ token: user.accessToken }, { query: { token: user.accessToken } }]) {
      const stream = await server.stream(options);
      await server.api.login(user);
      expect((await stream.nextEvent('login.success')).id).toMatch(/^evt-/);
      stream.close();
    }
  });

  it('delivers only what ?events= lets through, everything without it', async () => {
    const [some, all] = await Promise.all([
      server.stream({
        token: user.accessToken,
        query: { events: 'logout, login.failed' },
      }),
      server.stream({ token: user.accessToken }),
    ]);
    await Promise.all([some.next(), all.next()]);
    await server.api.login(user);
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await all.nextEvent('login.failed');
    await some.nextEvent('login.failed');
    expect(some.received.flatMap(({ event }) => event ?? [])).toEqual(['login.failed']);
    expect(all.received.flatMap(({ event }) => event ?? [])).toEqual(['login.success', 'login.failed']);
  });

  it.each([
    ['no token', {}, 401],
    ['a bad token', { token: 'x.y.z' }, 401],
    ['a bad token in the query', { query: { token: 'x.y.z' } }, 401],
  ])('answers %s with an ordinary JSON error', async (_name, options, status) => {
    const stream = await server.stream(options);
    expect(stream.response.status).toBe(status);
    expect(stream.response.headers.get('content-type')).toMatch(/^application\/json/);
  });

  it('refuses an unknown event name with the valid ones, and a cursor that never was, with 422', async () => {
    const stream = (query: string, headers: object = {}) =>
      server.api.call('GET', `/events/stream?${query}`, { token: user.accessToken, headers });
    const unknown = await stream('events=logout,login.exploded');
    expect(unknown.status).toBe(422);
    for (const type of EVENT_TYPES) expect(unknown.body.error.message).toContain(type);
    expect((await stream('events=')).status).toBe(422);
    expect((await server.api.get('/events/stream?token=a&token=b')).status).toBe(401);
    expect((await stream('events=logout&events=mfa.*')).status).toBe(422);
    expect((await stream('lastEventId=evt-550e8400')).status).toBe(422);
    expect((await stream('', { 'Last-Event-ID': 'evt-550e8400' })).status).toBe(422);
    // Well formed, and younger than anything retention has removed, but never an event.
    expect((await stream('lastEventId=evt-0199a1b2-0000-7000-8000-000000000001')).status).toBe(422);
  });

  it('resumes by Last-Event-ID, which wins over ?lastEventId=, and goes on live', async () => {
    for (let n = 0; n < 3; n += 1) await server.api.login(user);
    const page = await server.api.get('/events', user.accessToken);
    const [registered, first, second, third] = (page.body.data.items as { id: string }[]).map(({ id }) => id);
    const byHeader = await server.stream({
      token: user.accessToken,
      query: { lastEventId: String(registered) },
      headers: { 'Last-Event-ID': String(second) },
    });
    await byHeader.next(({ id }) => id === third);
    const byQuery = await server.stream({ token: user.accessToken, query: { lastEventId: String(registered) } });
    await byQuery.next(({ id }) => id === third);
    expect(byQuery.received.flatMap(({ id }) => id ?? [])).toEqual([first, second, third]);
    await server.api.login(user);
    await byHeader.next(({ id }) => id !== undefined);
    expect(byHeader.received.flatMap(({ id }) => id ?? [])).toHaveLength(2);
    expect(byHeader.received.filter(({ event }) => event === 'stream.gap')).toEqual([]);
  });

  it('shows an owner its own events, a stranger none, an admin all', async () => {
    const [admin, stranger] = [await server.api.login(ADMIN), await server.api.register()];
    const [all, own, none] = await Promise.all([
      server.stream({ token: admin.accessToken }),
      server.stream({ token: user.accessToken }),
      server.stream({ token: stranger.accessToken }),
    ]);
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await all.nextEvent('login.failed');
    await own.nextEvent('login.failed');
    await server.api.login(stranger);
    expect((await none.next(({ event }) => event !== undefined)).event).toBe('login.success');
    expect(none.received.filter(({ event }) => event !== undefined)).toHaveLength(1);
  });

  it('ends with a reason after the last event: logout', async () => {
    const stream = await server.stream({ token: user.accessToken });
    await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    await stream.nextEvent('logout');
    const end = await stream.nextEvent('stream.end');
    expect(end.text).toBe('event: stream.end\ndata: {"reason":"revoked","reconnect":false}');
    await stream.ended;
  });

  it('leaves nothing behind of a client that goes at any moment, nor of one behind a pipelined request', async () => {
    const hub = server.app.get(RealtimeHub);
    const port = Number(new URL(server.url).port);
    const request = `GET /api/v1/events/stream?token=${user.accessToken} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const before = hub.list().length;
    for (let n = 0; n < 60; n += 1) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(request);
      for (let turns = 0; turns < n / 3; turns += 1) await setImmediate();
      socket.resetAndDestroy();
    }
    const pipelined = connect(port, '127.0.0.1');
    pipelined.write(request.repeat(3));
    await once(pipelined, 'data');
    pipelined.destroy();
    // One more stream, opened and closed after all of them: the server has seen the others go by then.
    const last = await server.stream({ token: user.accessToken });
    await last.next();
    last.close();
    await vi.waitFor(() => expect(hub.list().length).toBeLessThanOrEqual(before));
  });

  it('leaves nothing behind on a connection that carries one stream after the other', async () => {
    const accepted = once(server.app.getHttpServer(), 'connection') as Promise<[Socket]>;
    const client = connect(Number(new URL(server.url).port), '127.0.0.1');
    const [socket] = await accepted;
    const chunks = new Inbox<string>();
    client.on('data', (chunk) => chunks.push(String(chunk)));
    const listeners = [];
    for (let n = 0; n < 3; n += 1) {
      const { accessToken, refreshToken } = await server.api.login(user);
      client.write(`GET /api/v1/events/stream?token=${accessToken} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await chunks.next((chunk) => chunk.includes('retry: '));
      listeners.push(socket.listenerCount('close'));
      await server.api.post('/auth/logout', { refreshToken }, accessToken);
      // The last chunk: the connection is free for the next request.
      await chunks.next((chunk) => chunk.endsWith('0\r\n\r\n'));
    }
    client.destroy();
    expect(listeners).toEqual([listeners[0], listeners[0], listeners[0]]);
  });

  it('a HEAD request gets the headers and ends', async () => {
    const response = await fetch(`${server.url}/api/v1/events/stream`, {
      method: 'HEAD',
      headers: { Authorization: `Bearer ${user.accessToken}` },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
  });

  it('a browser’s EventSource misses nothing across a server restart', async () => {
    const events = new Inbox<string>();
    const ends = new Inbox<string>();
    const source = new EventSource(`${server.url}/api/v1/events/stream?token=${user.accessToken}&events=login.*`);
    source.addEventListener('login.success', ({ lastEventId }) => events.push(lastEventId));
    source.addEventListener('stream.end', ({ data }) => ends.push(String(data)));
    await new Promise((resolve) => source.addEventListener('open', resolve, { once: true }));
    try {
      await server.api.login(user);
      await events.next();
      await server.restart();
      expect(await ends.next()).toBe('{"reason":"shutdown","reconnect":true}');
      // The browser waits out its retry time first: these three happen while it is away.
      for (let n = 0; n < 3; n += 1) await server.api.login(user);
      for (let n = 0; n < 3; n += 1) await events.next();
      await server.api.login(user);
      await events.next();
      const journal = await server.api.get('/events?type=login.success', user.accessToken);
      expect(events.all).toEqual((journal.body.data.items as { id: string }[]).map(({ id }) => id));
    } finally {
      source.close();
    }
  });
});

describe('the end of a stream', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ JWT_EXPIRES_IN: '3s' });
  });
  afterAll(() => server.close());

  it('is told when the token expires', async () => {
    const user = await server.api.register();
    const stream = await server.stream({ token: user.accessToken });
    const end = await stream.nextEvent('stream.end');
    expect(end.data).toBe('{"reason":"token_expired","reconnect":false}');
    expect(end.id).toBeUndefined();
    await stream.ended;
  });
});
