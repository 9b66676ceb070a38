import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestUser } from '../support/api.js';
import { ADMIN, TestServer } from '../support/server.js';

describe('accounts in the hands of admins', () => {
  let server: TestServer;
  let admin: string;
  let adminId: string;
  beforeAll(async () => {
    server = await TestServer.start({ LOCKOUT_MAX_ATTEMPTS: '2' });
    admin = (await server.api.login(ADMIN)).accessToken;
    adminId = (await server.api.get('/users/me', admin)).body.data.id as string;
  });
  afterAll(() => server.close());

  const path = ({ id }: { id: string }, rest = '') => `/admin/users/${id}${rest}`;
  const ban = (user: { id: string }, reason: unknown = 'spam') =>
    server.api.post(path(user, '/ban'), { reason }, admin);
  const setRole = (user: { id: string }, role: string, token = admin) =>
    server.api.patch(path(user, '/role'), { role }, token);
  const lock = async ({ email }: TestUser) => {
    for (let n = 0; n < 2; n += 1) await server.api.post('/auth/login', { email, password: 'wrong' });
  };

  it('are listed in pages, the newest first, with search and role', async () => {
    const users = [
      await server.api.register(),
      await server.api.register('Correct-horse-1', 'under_score@example.com'),
    ];
    const first = (await server.api.get('/admin/users?limit=2', admin)).body.data;
    expect(first.items.map(({ id }: { id: string }) => id).toSorted()).toEqual(users.map(({ id }) => id).toSorted());
    expect([first.hasMore, first.total]).toEqual([true, 3]);
    const rest = (await server.api.get(`/admin/users?after=${first.nextCursor}`, admin)).body.data;
    expect(rest.items.map(({ email }: { email: string }) => email)).toEqual([ADMIN.email]);
    expect(rest).toMatchObject({ hasMore: false, nextCursor: null, total: 3 });
    const found = async (query: string) =>
      (await server.api.get(`/admin/users?${query}`, admin)).body.data.total as number;
    // What SQL would take for a wildcard is a character here.
    expect(await found('search=UNDER_SCORE')).toBe(1);
    expect(await found('search=under_s_ore')).toBe(0);
    expect(await found('search=under%25')).toBe(0);
    expect(await found('role=admin')).toBe(1);
    expect((await server.api.get('/admin/users?after=nonsense', admin)).status).toBe(422);
    expect(JSON.stringify(first)).not.toContain('assword');
  });

  it('are made by an admin, with a role', async () => {
    const body = { email: 'made@example.com', password: 'Correct-horse-1', role: 'admin' };
    const { status, body: answer } = await server.api.post('/admin/users', body, admin);
    expect([status, answer.data]).toEqual([
      201,
      expect.objectContaining({ email: body.email, role: 'admin', status: 'active', lockedUntil: null }),
    ]);
    expect((await server.api.post('/admin/users', body, admin)).status).toBe(409);
    expect((await server.api.post('/admin/users', { ...body, password: 'x' }, admin)).status).toBe(400);
    const { accessToken } = await server.api.login(body);
    expect((await server.api.delete(path(answer.data), accessToken)).body.error.details[0].code).toBe('ACCOUNT_OWN');
    expect((await server.api.delete(path(answer.data), admin)).status).toBe(204);
    expect((await server.api.get(path(answer.data), admin)).status).toBe(404);
  });

  it('are banned with a reason: sessions and connections end, after the event that tells of it; and unbanned', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    const { status, body } = await ban(user);
    expect([status, body.data]).toEqual([200, expect.objectContaining({ status: 'banned', banReason: 'spam' })]);
    const event = await socket.nextEvent('user.updated');
    expect(event['event']).toMatchObject({ payload: { userId: user.id, fields: ['status'] } });
    expect((await socket.closed).code).toBe(4403);
    expect((await server.api.get('/users/me', user.accessToken)).status).toBe(401);
    const refused = await server.api.post('/auth/login', { email: user.email, password: user.password });
    expect([refused.status, refused.body.error.details[0].code]).toEqual([403, 'ACCOUNT_BANNED']);
    expect((await server.api.post(path(user, '/unban'), undefined, admin)).body.data).toMatchObject({
      status: 'active',
      banReason: null,
    });
    await server.api.login(user);
    expect((await ban(user, '')).status).toBe(422);
  });

  it('change their role, which works on tokens and connections that are there already', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    expect((await server.api.get('/admin/users', user.accessToken)).status).toBe(403);
    expect((await setRole(user, 'admin')).body.data.role).toBe('admin');
    expect((await server.api.get('/admin/users', user.accessToken)).status).toBe(200);
    expect((await socket.nextEvent('user.updated'))['event']).toMatchObject({ payload: { fields: ['role'] } });
    expect((await setRole(user, 'user')).body.data.role).toBe('user');
    expect((await server.api.get('/admin/users', user.accessToken)).status).toBe(403);
    // To the same role is no change, and no event.
    await socket.nextEvent('user.updated');
    await setRole(user, 'user');
    await socket.settle();
    expect(socket.events.filter((type) => type === 'user.updated')).toHaveLength(2);
    expect((await setRole(user, 'emperor')).status).toBe(422);
  });

  it('are unlocked by an admin, which publishes account.unlocked', async () => {
    const user = await server.api.register();
    const watcher = await server.subscriber(admin, ['account.unlocked']);
    await lock(user);
    expect((await server.api.get(path(user), admin)).body.data.lockedUntil).toBeGreaterThan(Date.now());
    const { status, body } = await server.api.post(path(user, '/unlock'), undefined, admin);
    expect([status, body.data.lockedUntil]).toEqual([200, null]);
    expect((await watcher.nextEvent('account.unlocked'))['event']).toMatchObject({ payload: { email: user.email } });
    await server.api.login(user);
  });

  it('nobody bans, demotes or deletes themselves, or the last admin', async () => {
    const self = { id: adminId };
    for (const attempt of [await ban(self), await setRole(self, 'user'), await server.api.delete(path(self), admin)]) {
      expect([attempt.status, attempt.body.error.details[0].code]).toEqual([403, 'ACCOUNT_OWN']);
    }
    // Two admins that demote each other at once: one of them stays.
    const other = await server.api.register();
    await setRole(other, 'admin');
    const both = await Promise.all([setRole(other, 'user'), setRole(self, 'user', other.accessToken)]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)[0]).toBe(200);
    expect(both.filter(({ status }) => status === 200)).toHaveLength(1);
    const { body } = await server.api.get(
      '/admin/users?role=admin',
      both[0]?.status === 200 ? admin : other.accessToken,
    );
    expect(body.data.total).toBe(1);
  });

  it('are nobody else’s business', async () => {
    const [user, victim] = [await server.api.register(), await server.api.register()];
    const acts = [
      ['GET', ''],
      ['PATCH', '/role', { role: 'admin' }],
      ['POST', '/ban', { reason: 'x' }],
      ['POST', '/unban'],
      ['POST', '/unlock'],
      ['DELETE', ''],
    ] as const;
    for (const [method, rest, body] of acts) {
      for (const token of [user.accessToken, undefined]) {
        const answer = await server.api.call(method, path(victim, rest), {
          ...(body && { body }),
          ...(token !== undefined && { token }),
        });
        expect([method, rest, answer.status]).toEqual([method, rest, token === undefined ? 401 : 403]);
      }
    }
    expect((await server.api.post('/admin/users', {}, user.accessToken)).status).toBe(403);
  });
});

describe('one’s own sessions', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.close());

  it('are listed with device and address, and ended one by one or all but the asking one', async () => {
    const user = await server.api.register();
    const headers = { 'User-Agent': 'A phone' };
    const login = await server.api.call('POST', '/auth/login', {
      headers,
      body: { email: user.email, password: user.password },
    });
    const phone = login.body.data.accessToken as string;
    const third = (await server.api.login(user)).accessToken;
    const { body } = await server.api.get('/users/me/sessions', user.accessToken);
    const sessions = body.data.sessions as { id: string; current: boolean; userAgent: string; ip: string }[];
    expect(sessions).toHaveLength(3);
    expect(sessions.filter(({ current }) => current)).toHaveLength(1);
    const ofPhone = sessions.find(({ userAgent }) => userAgent === 'A phone');
    expect(ofPhone).toMatchObject({ ip: '127.0.0.1', current: false });

    const socket = await server.subscriber(phone, ['logout']);
    const stranger = await server.api.register();
    expect((await server.api.delete(`/users/me/sessions/${ofPhone?.id}`, stranger.accessToken)).status).toBe(404);
    expect((await server.api.delete(`/users/me/sessions/${ofPhone?.id}`, user.accessToken)).status).toBe(204);
    // The event first, then the close, and the token is worth nothing.
    expect((await socket.nextEvent('logout'))['event']).toMatchObject({ payload: { userId: user.id } });
    expect((await socket.closed).code).toBe(4403);
    expect((await server.api.get('/users/me', phone)).status).toBe(401);
    expect((await server.api.delete(`/users/me/sessions/${ofPhone?.id}`, user.accessToken)).status).toBe(404);

    expect((await server.api.delete('/users/me/sessions', user.accessToken)).status).toBe(204);
    expect((await server.api.get('/users/me', third)).status).toBe(401);
    expect((await server.api.get('/users/me/sessions', user.accessToken)).body.data.sessions).toHaveLength(1);
    const { body: log } = await server.api.get('/events?type=logout', user.accessToken);
    expect(log.data.items).toHaveLength(2);
  });
});
