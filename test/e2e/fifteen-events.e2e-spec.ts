import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EVENT_TYPES, type EventType } from '../../src/events/catalogue.js';
import { mailedToken, turnOnMfa } from '../support/accounts.js';
import type { Answer, TestUser } from '../support/api.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';
import type { SseClient } from '../support/sse-client.js';
import type { WsClient } from '../support/ws-client.js';

const ID = /^evt-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const NEW_PASSWORD = 'Another-horse-2';

/** Who did it, as the audit trail must say. */
interface Expected {
  type: EventType;
  payload: object;
  /** The account that asked; null for a caller who was nobody yet. */
  actorId: string | null;
  outcome?: 'failure';
  details?: object;
}

/**
 * Every event of the catalogue, from the REST act that causes it to everywhere it must appear: the exact frames of both
 * transports, the webhook request, the journal, the audit row, the trace.
 */
describe('the fifteen events, act by act', () => {
  let server: TestServer;
  let admin: string;
  let adminId: string;
  let socket: WsClient;
  let stream: SseClient;
  let receiver: Receiver;
  let secret: string;
  const seen = new Set<string>();

  beforeAll(async () => {
    server = await TestServer.start({
      LOCKOUT_MAX_ATTEMPTS: '2',
      LOCKOUT_DURATION_MS: '300',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
    });
    admin = (await server.api.login(ADMIN)).accessToken;
    adminId = (await server.api.get('/users/me', admin)).body.data.id as string;
    receiver = await Receiver.start();
    const { body } = await server.api.post('/webhooks', { url: receiver.url, events: ['*'] }, admin);
    secret = body.data.secret as string;
    socket = await server.subscriber(admin);
    stream = await server.stream({ token: admin });
  });
  afterAll(async () => {
    await server.close();
    await receiver.close();
  });

  /** Does an act under a request id of its own. */
  async function act(method: string, path: string, body?: object, token?: string): Promise<Answer> {
    const headers = { 'X-Request-Id': `act-${seen.size}`, 'User-Agent': 'acts' };
    return server.api.call(method, path, { headers, ...(body && { body }), ...(token !== undefined && { token }) });
  }

  /** Waits for an event everywhere, and compares every byte of it. */
  async function expectEverywhere({ type, payload, actorId, outcome, details }: Expected): Promise<void> {
    const requestId = `act-${seen.size}`;
    const frame = await socket.next(
      ({ event }) =>
        (event as { type: string } | undefined)?.type === type &&
        JSON.stringify((event as { payload: object }).payload) === JSON.stringify(payload),
    );
    const event = frame['event'] as { id: string; timestamp: string };
    expect(frame).toStrictEqual({ type: 'event', event: { id: event.id, type, timestamp: event.timestamp, payload } });
    expect(event.id).toMatch(ID);
    expect(event.timestamp).toMatch(TIMESTAMP);

    const block = await stream.next(({ id }) => id === event.id);
    const data = JSON.stringify({ type, timestamp: event.timestamp, payload });
    expect(block.text).toBe(`event: ${type}\nid: ${event.id}\ndata: ${data}`);

    const request = await receiver.next(({ headers }) => headers['webhook-id'] === event.id);
    expect(request.headers).toMatchObject({ 'x-webhook-event': type, 'content-type': 'application/json' });
    new Webhook(secret).verify(request.body, request.headers as Record<string, string>);
    expect(request.body).toBe(JSON.stringify({ id: event.id, type, timestamp: event.timestamp, payload }));

    expect((await server.api.get(`/events/${event.id}`, admin)).body).toStrictEqual({ data: event });

    const audit = await server.api.get(`/audit?type=${type}&limit=200`, admin);
    const row = audit.body.data.items.find(({ id }: { id: string }) => id === event.id);
    const subject = Object.values(payload)[0] as string;
    expect(row).toStrictEqual({
      ...event,
      subject,
      outcome: outcome ?? 'success',
      actorId,
      sessionId: actorId === null ? null : expect.stringMatching(/^[\da-f-]{36}$/),
      ip: '127.0.0.1',
      userAgent: 'acts',
      requestId,
      details: details ?? null,
      hash: expect.stringMatching(/^[\w-]{43}$/),
    });

    const trace = (await server.api.get(`/events/${event.id}/trace`, admin)).body.data;
    expect(trace).toMatchObject({ event, request: { requestId, actorId }, commit: { hash: row.hash } });
    expect(trace.deliveries).toMatchObject([{ status: expect.any(String) }]);
    seen.add(type);
  }

  const login = ({ email }: TestUser, password: string) => act('POST', '/auth/login', { email, password });
  const status = async (answer: Promise<Answer>, expected: number) => {
    const { status: given, body } = await answer;
    expect(given, JSON.stringify(body)).toBe(expected);
    return body?.data;
  };

  it('user.registered: POST /auth/register', async () => {
    const body = { email: 'registered@example.com', password: 'Correct-horse-1' };
    const { accessToken } = await status(act('POST', '/auth/register', body), 201);
    const { id } = (await server.api.get('/users/me', accessToken as string)).body.data;
    const details = { role: 'user' };
    await expectEverywhere({ type: 'user.registered', payload: { userId: id }, actorId: id as string, details });
  });

  it('login.success: POST /auth/login', async () => {
    const user = await server.api.register();
    await status(login(user, user.password), 200);
    const payload = { userId: user.id, email: user.email };
    await expectEverywhere({ type: 'login.success', payload, actorId: user.id, details: { factor: 'password' } });
  });

  it('login.failed: POST /auth/login with a wrong password, or an address nobody has', async () => {
    const user = await server.api.register();
    const wrong = await login(user, 'Wrong-password-1');
    const [outcome, details] = ['failure' as const, { reason: 'wrong password' }];
    const mine = { email: user.email };
    await expectEverywhere({ type: 'login.failed', payload: mine, actorId: null, outcome, details });
    const nobody = await act('POST', '/auth/login', { email: 'Nobody@Example.com', password: 'x' });
    expect([nobody.status, nobody.body.error]).toStrictEqual([401, wrong.body.error]);
    const theirs = { email: 'nobody@example.com' };
    await expectEverywhere({ type: 'login.failed', payload: theirs, actorId: null, outcome, details });
  });

  it('user.updated: PATCH /users/me with another address, PATCH /admin/users/:id/role', async () => {
    const user = await server.api.register();
    await status(act('PATCH', '/users/me', { email: `new-${user.email}` }, user.accessToken), 200);
    const own = { userId: user.id, fields: ['email'] };
    await expectEverywhere({ type: 'user.updated', payload: own, actorId: user.id });
    await status(act('PATCH', `/admin/users/${user.id}/role`, { role: 'admin' }, admin), 200);
    const payload = { userId: user.id, fields: ['role'] };
    await expectEverywhere({ type: 'user.updated', payload, actorId: adminId, details: { from: 'user', to: 'admin' } });
  });

  it('password.changed: PATCH /users/me with another password', async () => {
    const user = await server.api.register();
    const body = { password: NEW_PASSWORD, currentPassword: user.password };
    await status(act('PATCH', '/users/me', body, user.accessToken), 200);
    await expectEverywhere({ type: 'password.changed', payload: { userId: user.id }, actorId: user.id });
  });

  it('password.reset: POST /auth/reset-password with the mailed token', async () => {
    const user = await server.api.register();
    await server.api.post('/auth/forgot-password', { email: user.email });
    const token = await mailedToken(server, 'reset-password', user.email);
    await status(act('POST', '/auth/reset-password', { token, password: NEW_PASSWORD }), 200);
    await expectEverywhere({ type: 'password.reset', payload: { userId: user.id }, actorId: null });
  });

  it('email.verified: POST /auth/verify-email with the mailed token', async () => {
    const user = await server.api.register();
    const token = await mailedToken(server, 'verify-email', user.email);
    await status(act('POST', '/auth/verify-email', { token }), 200);
    await expectEverywhere({ type: 'email.verified', payload: { userId: user.id }, actorId: null });
  });

  it('mfa.enabled, mfa.disabled: POST /auth/mfa/enable, POST /auth/mfa/disable', async () => {
    const user = await server.api.register();
    const { recoveryCodes } = await turnOnMfa(server, user, (body) =>
      act('POST', '/auth/mfa/enable', body, user.accessToken),
    );
    await expectEverywhere({ type: 'mfa.enabled', payload: { userId: user.id }, actorId: user.id });
    const body = { code: recoveryCodes[0], password: user.password };
    await status(act('POST', '/auth/mfa/disable', body, user.accessToken), 200);
    await expectEverywhere({ type: 'mfa.disabled', payload: { userId: user.id }, actorId: user.id });
  });

  it('api_key.created, api_key.revoked: POST /api-keys, DELETE /api-keys/:id', async () => {
    const user = await server.api.register();
    const body = { name: 'A program', scopes: ['events:read'] };
    const { key } = await status(act('POST', '/api-keys', body, user.accessToken), 201);
    const payload = { userId: user.id, keyId: key.id as string };
    const details = { scopes: ['events:read'], expiresAt: null };
    await expectEverywhere({ type: 'api_key.created', payload, actorId: user.id, details });
    await status(act('DELETE', `/api-keys/${key.id}`, undefined, user.accessToken), 204);
    await expectEverywhere({ type: 'api_key.revoked', payload, actorId: user.id });
  });

  it('account.locked, account.unlocked: one failure too many, POST /admin/users/:id/unlock', async () => {
    const user = await server.api.register();
    await status(login(user, 'Wrong-1'), 401);
    const locking = await login(user, 'Wrong-2');
    expect([locking.status, locking.headers.get('retry-after')]).toEqual([403, '1']);
    await expectEverywhere({ type: 'account.locked', payload: { email: user.email }, actorId: null });
    await status(act('POST', `/admin/users/${user.id}/unlock`, undefined, admin), 200);
    await expectEverywhere({ type: 'account.unlocked', payload: { email: user.email }, actorId: adminId });
  });

  it('account.unlocked comes with the first success after the lock as well, right before it', async () => {
    const user = await server.api.register();
    for (let n = 0; n < 2; n += 1) await login(user, 'Wrong-1');
    // The lock is short, so the right password is tried until it has expired; each refusal is a 403.
    let answer = await login(user, user.password);
    while (answer.status === 403) answer = await login(user, user.password);
    expect(answer.status).toBe(200);
    const payload = { email: user.email };
    await expectEverywhere({ type: 'account.unlocked', payload, actorId: user.id });
    const types = socket.received
      .map(({ event }) => event as { type: string; payload: { email?: string } } | undefined)
      .flatMap((event) => (event?.payload.email === user.email ? [event.type] : []));
    expect(types.slice(0, 3)).toEqual(['login.failed', 'login.failed', 'account.locked']);
    expect(types.slice(3).filter((type) => type !== 'login.failed')).toEqual(['account.unlocked', 'login.success']);
  });

  it('logout: POST /auth/logout', async () => {
    const user = await server.api.register();
    await status(act('POST', '/auth/logout', { refreshToken: user.refreshToken }, user.accessToken), 204);
    await expectEverywhere({ type: 'logout', payload: { userId: user.id }, actorId: user.id });
  });

  it('user.deleted: DELETE /users/me', async () => {
    const user = await server.api.register();
    await status(act('DELETE', '/users/me', undefined, user.accessToken), 204);
    await expectEverywhere({ type: 'user.deleted', payload: { userId: user.id }, actorId: user.id });
  });

  it('are all fifteen of the catalogue', () => {
    expect([...seen].toSorted()).toEqual(EVENT_TYPES.toSorted());
    expect(seen.size).toBe(15);
  });

  it('came over both transports in the journal’s order, and each once by webhook', async () => {
    const items: { id: string }[] = [];
    for (let after = ''; ; after = `&after=${items.at(-1)?.id}`) {
      const { body } = await server.api.get(`/events?limit=200${after}`, admin);
      items.push(...(body.data.items as { id: string }[]));
      if (body.data.hasMore === false) break;
    }
    const journal = items.map(({ id }) => id);
    const last = journal.at(-1);
    const idOf = (event: unknown) => (event as { id: string } | undefined)?.id;
    const overSocket = () => socket.received.flatMap(({ event }) => idOf(event) ?? []);
    const overStream = () => stream.received.flatMap(({ id }) => id ?? []);
    if (!overSocket().includes(String(last))) await socket.next(({ event }) => idOf(event) === last);
    if (!overStream().includes(String(last))) await stream.next(({ id }) => id === last);
    expect(overSocket()).toEqual(journal.slice(journal.indexOf(overSocket()[0] ?? '')));
    expect(overStream()).toEqual(journal.slice(journal.indexOf(overStream()[0] ?? '')));
    const byWebhook = receiver.received.map(({ headers }) => String(headers['webhook-id']));
    expect(new Set(byWebhook).size).toBe(byWebhook.length);
  });
});
