import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, TestServer } from '../support/server.js';
import type { SseClient } from '../support/sse-client.js';
import type { WsClient, WsMessage } from '../support/ws-client.js';

const ID = /^evt-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const LOCK_MS = 300;

/** Each event, from the REST act that causes it to the exact frames of both transports. */
describe('the nine events of accounts and access', () => {
  let server: TestServer;
  let socket: WsClient;
  let stream: SseClient;

  beforeAll(async () => {
    server = await TestServer.start({ LOCKOUT_MAX_ATTEMPTS: '2', LOCKOUT_DURATION_MS: String(LOCK_MS) });
    const { accessToken } = await server.api.login(ADMIN);
    socket = await server.subscriber(accessToken);
    stream = await server.stream({ token: accessToken });
    expect(stream.response.status).toBe(200);
  });
  afterAll(() => server.close());

  /** Waits for the next event of a type on both transports and compares every byte with the specification's shape. */
  async function expectEvent(type: string, payload: object): Promise<void> {
    const frame = await socket.nextEvent(type);
    const event = frame['event'] as { id: string; timestamp: string };
    expect(frame).toStrictEqual({ type: 'event', event: { id: event.id, type, timestamp: event.timestamp, payload } });
    expect(event.id).toMatch(ID);
    expect(event.timestamp).toMatch(TIMESTAMP);
    const block = await stream.nextEvent(type);
    const data = JSON.stringify({ type, timestamp: event.timestamp, payload });
    expect(block.text).toBe(`event: ${type}\nid: ${event.id}\ndata: ${data}`);
    const stored = await server.api.get(`/events/${event.id}`, (await server.api.login(ADMIN)).accessToken);
    expect(stored.body).toStrictEqual({ data: event });
  }

  it('user.registered: POST /auth/register', async () => {
    const user = await server.api.register();
    await expectEvent('user.registered', { userId: user.id });
  });

  it('login.success: POST /auth/login', async () => {
    const user = await server.api.register();
    await server.api.login(user);
    const mine = (message: WsMessage) =>
      (message['event'] as { payload: { email?: string } } | undefined)?.payload.email === user.email;
    const frame = await socket.next(mine);
    expect(frame['event']).toMatchObject({ type: 'login.success', payload: { userId: user.id, email: user.email } });
    const block = await stream.next(({ data }) => data?.includes(user.email) === true);
    expect(JSON.parse(block.data ?? '')).toMatchObject({
      type: 'login.success',
      payload: { userId: user.id, email: user.email },
    });
  });

  it('login.failed: a wrong password, and an address nobody has', async () => {
    const user = await server.api.register();
    const wrong = await server.api.post('/auth/login', { email: user.email, password: 'Wrong-password-1' });
    expect(wrong.status).toBe(401);
    await expectEvent('login.failed', { email: user.email });
    const nobody = await server.api.post('/auth/login', { email: 'Nobody@Example.com', password: 'x' });
    expect(nobody.status).toBe(401);
    expect(nobody.body.error).toStrictEqual(wrong.body.error);
    await expectEvent('login.failed', { email: 'nobody@example.com' });
  });

  it('user.updated: PATCH /users/me with another address', async () => {
    const user = await server.api.register();
    const email = `new-${user.email}`;
    const { status } = await server.api.patch('/users/me', { email }, user.accessToken);
    expect(status).toBe(200);
    await expectEvent('user.updated', { userId: user.id, fields: ['email'] });
  });

  it('password.changed: PATCH /users/me with another password', async () => {
    const user = await server.api.register();
    const body = { password: 'Another-horse-2', currentPassword: user.password };
    expect((await server.api.patch('/users/me', body, user.accessToken)).status).toBe(200);
    await expectEvent('password.changed', { userId: user.id });
  });

  it('logout: POST /auth/logout', async () => {
    const user = await server.api.register();
    const { status } = await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    expect(status).toBe(204);
    await expectEvent('logout', { userId: user.id });
  });

  it('user.deleted: DELETE /users/me', async () => {
    const user = await server.api.register();
    expect((await server.api.delete('/users/me', user.accessToken)).status).toBe(204);
    await expectEvent('user.deleted', { userId: user.id });
  });

  it('account.locked with the failure that is too many, account.unlocked with the first success after the lock', async () => {
    const user = await server.api.register();
    const attempt = (password: string) => server.api.post('/auth/login', { email: user.email, password });
    expect((await attempt('Wrong-1')).status).toBe(401);
    const locking = await attempt('Wrong-2');
    expect(locking.status).toBe(403);
    expect(Number(locking.headers.get('retry-after'))).toBeGreaterThan(0);
    await expectEvent('account.locked', { email: user.email });

    // The lock is short, so the right password is tried until it has expired; each refusal must be a 403.
    let answer = await attempt(user.password);
    while (answer.status === 403) answer = await attempt(user.password);
    expect(answer.status).toBe(200);
    await expectEvent('account.unlocked', { email: user.email });
    const types = socket.received
      .map(({ event }) => event as { type: string; payload: { email?: string } } | undefined)
      .filter((event) => event?.payload.email === user.email)
      .map((event) => event?.type);
    expect(types.slice(0, 3)).toEqual(['login.failed', 'login.failed', 'account.locked']);
    // Failures while locked are published too; unlocked comes right before the success.
    expect(types.slice(3, types.indexOf('account.unlocked')).every((type) => type === 'login.failed')).toBe(true);
    await socket.settle();
    expect(socket.events.slice(socket.events.lastIndexOf('account.unlocked')).slice(0, 2)).toEqual([
      'account.unlocked',
      'login.success',
    ]);
  });

  it('came over both transports in the journal’s order', async () => {
    await socket.settle();
    const token = (await server.api.login(ADMIN)).accessToken;
    const all = await server.api.get('/events?limit=200', token);
    const journal = (all.body.data.items as { id: string }[]).map(({ id }) => id);
    const last = journal.at(-1);
    await socket.next(({ event }) => (event as { id?: string } | undefined)?.id === last);
    await stream.next(({ id }) => id === last);
    const overSocket = socket.received.flatMap(({ event }) => (event ? [(event as { id: string }).id] : []));
    const overStream = stream.received.flatMap(({ id }) => (id === undefined ? [] : [id]));
    expect(overSocket).toEqual(journal.slice(journal.indexOf(overSocket[0] ?? '')));
    expect(overStream).toEqual(journal.slice(journal.indexOf(overStream[0] ?? '')));
  });
});
