import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiKey } from '../../src/api-keys/api-key.entity.js';
import { newRawKey } from '../../src/api-keys/raw-key.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { ADMIN, TestServer } from '../support/server.js';

describe('API keys', () => {
  let server: TestServer;
  let admin: string;
  beforeAll(async () => {
    server = await TestServer.start();
    admin = (await server.api.login(ADMIN)).accessToken;
  });
  afterAll(() => server.close());

  async function make(token: string, scopes: string[], more: object = {}): Promise<{ id: string; rawKey: string }> {
    const { status, body } = await server.api.post('/api-keys', { name: 'A program', scopes, ...more }, token);
    expect(status, JSON.stringify(body)).toBe(201);
    return { id: body.data.key.id as string, rawKey: body.data.rawKey as string };
  }
  const by = (rawKey: string, path: string, method = 'GET', body?: unknown) =>
    server.api.call(method, path, { headers: { 'X-API-Key': rawKey }, ...(body !== undefined && { body }) });

  it('are made, shown once, listed and revoked, with both events', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken, ['api_key.*']);
    const made = await server.api.post(
      '/api-keys',
      { name: ' CI ', scopes: ['events:read', 'events:read'] },
      user.accessToken,
    );
    const { key, rawKey } = made.body.data;
    expect(rawKey).toMatch(/^oapi_[0-9A-Za-z]{36}$/);
    expect(key).toMatchObject({ name: 'CI', scopes: ['events:read'], expiresAt: null, lastUsedAt: null });
    expect((await socket.nextEvent('api_key.created'))['event']).toMatchObject({
      payload: { userId: user.id, keyId: key.id },
    });
    const { body } = await server.api.get('/api-keys', user.accessToken);
    expect(body.data.keys).toEqual([key]);
    expect(JSON.stringify(body)).not.toContain(rawKey);
    expect((await by(rawKey, '/events')).status).toBe(200);
    const [used] = (await server.api.get('/api-keys', user.accessToken)).body.data.keys;
    expect(used.lastUsedAt).toBeGreaterThan(0);
    const stranger = await server.api.register();
    expect((await server.api.delete(`/api-keys/${key.id}`, stranger.accessToken)).status).toBe(404);
    expect((await server.api.delete(`/api-keys/${key.id}`, user.accessToken)).status).toBe(204);
    expect((await socket.nextEvent('api_key.revoked'))['event']).toMatchObject({
      payload: { userId: user.id, keyId: key.id },
    });
    expect((await by(rawKey, '/events')).status).toBe(401);
    expect((await server.api.delete(`/api-keys/${key.id}`, user.accessToken)).status).toBe(404);
  });

  it('do what their scopes say and nothing else, and never more than their owner', async () => {
    const user = await server.api.register();
    const everything = ['events:read', 'users:read', 'users:manage', 'webhooks:manage', 'jobs:manage'];
    const [none, all, admins] = [
      await make(user.accessToken, ['webhooks:manage']),
      await make(user.accessToken, everything),
      await make(admin, everything),
    ];
    const table: [string, string, number, number, number][] = [
      // method, path, without the scope, with every scope, an admin's with every scope
      ['GET', '/events', 403, 200, 200],
      ['GET', '/users/me', 403, 200, 200],
      ['GET', '/admin/users', 403, 403, 200],
      ['POST', '/admin/users/x/unban', 403, 403, 404],
      ['GET', '/webhooks', 403, 403, 200],
      ['GET', '/jobs/stats', 403, 403, 200],
      // What no key may do.
      ['GET', '/api-keys', 403, 403, 403],
      ['GET', '/users/me/sessions', 403, 403, 403],
      ['DELETE', '/users/me', 403, 403, 403],
      ['DELETE', '/users/me/sessions', 403, 403, 403],
      ['POST', '/auth/resend-verification', 403, 403, 403],
    ];
    for (const [method, path, ...expected] of table) {
      const answers = [];
      for (const { rawKey } of [none, all, admins]) answers.push((await by(rawKey, path, method)).status);
      expect([method, path, ...answers]).toEqual([method, path, ...expected]);
    }
    // A user's key sees the user's events, an admin's key everybody's.
    const seen = async ({ rawKey }: { rawKey: string }) =>
      (await by(rawKey, '/events?limit=200')).body.data.items.length as number;
    expect(await seen(admins)).toBeGreaterThan(await seen(all));
    const refused = await by(none.rawKey, '/events');
    expect(refused.body.error).toMatchObject({
      details: [{ code: 'SCOPE_MISSING', message: expect.stringContaining('events:read') }],
    });
  });

  it('work on both live transports, until they are revoked', async () => {
    const user = await server.api.register();
    const { id, rawKey } = await make(user.accessToken, ['events:read']);
    const stream = await server.stream({ headers: { 'X-API-Key': rawKey } });
    await stream.next();
    const socket = await server.webSocket();
    socket.send({ type: 'auth', apiKey: rawKey }, { type: 'subscribe', events: ['*'] });
    expect(await socket.next()).toEqual({ type: 'auth', ok: true, userId: user.id });
    await socket.next(({ type }) => type === 'subscribed');
    // The key outlives the sessions of its owner.
    await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    await socket.nextEvent('logout');
    const again = await server.api.login(user);
    await socket.nextEvent('login.success');
    await stream.nextEvent('login.success');
    await server.api.patch(
      '/users/me',
      { password: 'Another-horse-2', currentPassword: user.password },
      again.accessToken,
    );
    await socket.nextEvent('password.changed');
    await server.api.delete(`/api-keys/${id}`, again.accessToken);
    // The last event first, then the close.
    await socket.nextEvent('api_key.revoked');
    expect((await socket.closed).code).toBe(4403);
    await stream.nextEvent('api_key.revoked');
    expect((await stream.nextEvent('stream.end')).data).toContain('"revoked"');
    await stream.ended;

    const without = await make(again.accessToken, ['users:read']);
    const other = await server.webSocket();
    other.send({ type: 'auth', apiKey: without.rawKey }, { type: 'auth', apiKey: rawKey }, { type: 'auth' });
    expect(await other.next()).toEqual({ type: 'auth', ok: false });
    expect(await other.next()).toEqual({ type: 'auth', ok: false });
    expect(await other.next()).toMatchObject({ type: 'error' });
  });

  it('end with a ban of their owner, on live connections too, and with their time', async () => {
    const user = await server.api.register();
    const { id, rawKey } = await make(user.accessToken, ['events:read'], { expiresInDays: 1 });
    const socket = await server.webSocket();
    socket.send({ type: 'auth', apiKey: rawKey }, { type: 'subscribe', events: ['*'] });
    await socket.next(({ type }) => type === 'subscribed');
    await server.api.post(`/admin/users/${user.id}/ban`, { reason: 'x' }, admin);
    await socket.nextEvent('user.updated');
    expect((await socket.closed).code).toBe(4403);
    expect((await by(rawKey, '/events')).status).toBe(401);
    await server.api.post(`/admin/users/${user.id}/unban`, undefined, admin);
    expect((await by(rawKey, '/events')).status).toBe(200);
    await server.app.get(UnitOfWork).run((tx) => tx.update(ApiKey, { id }, { expiresAt: Date.now() - 1 }));
    expect((await by(rawKey, '/events')).status).toBe(401);
  });

  it('are refused when they are not keys, and nothing but a key passes for one', async () => {
    const user = await server.api.register();
    for (const wrong of [newRawKey(), 'oapi_x', '', user.accessToken, user.refreshToken]) {
      expect((await by(wrong, '/events')).status).toBe(401);
    }
    const { rawKey } = await make(user.accessToken, ['events:read']);
    expect((await server.api.get('/events', rawKey)).status).toBe(401);
    expect((await server.api.post('/auth/refresh', { refreshToken: rawKey })).status).toBe(401);
    expect((await server.api.get(`/events/stream?token=${rawKey}`)).status).toBe(401);
    const bodies: [object, string][] = [
      [{ scopes: ['events:read'] }, 'name'],
      [{ name: '', scopes: ['events:read'] }, 'name'],
      [{ name: 'x', scopes: [] }, 'scopes'],
      [{ name: 'x', scopes: ['everything'] }, 'scopes.0'],
      [{ name: 'x', scopes: ['events:read'], expiresInDays: 0 }, 'expiresInDays'],
    ];
    for (const [body, field] of bodies) {
      const answer = await server.api.post('/api-keys', body, user.accessToken);
      expect([answer.status, answer.body.error.details[0].field]).toEqual([422, field]);
    }
  });

  it('have a rate limit of their own', async () => {
    const limited = await TestServer.start({ RATE_LIMIT_MAX: '8', AUTH_RATE_LIMIT_MAX: '0' });
    const { accessToken } = await limited.api.login(ADMIN);
    const { body } = await limited.api.post('/api-keys', { name: 'x', scopes: ['events:read'] }, accessToken);
    // Every request from another address, so that only the key's limit is left.
    const socket = await limited.webSocket();
    const attempts = Array.from({ length: 9 }, () => ({ type: 'auth', apiKey: body.data.rawKey as string }));
    socket.send(...attempts);
    for (let n = 0; n < 8; n += 1) expect(await socket.next()).toMatchObject({ type: 'auth', ok: true });
    expect(await socket.next()).toMatchObject({
      type: 'error',
      code: 'RATE_LIMITED',
      message: 'Too many requests with this key',
    });
    await limited.close();
  });
});
