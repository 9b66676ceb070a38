import { Injectable, Module, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import type { Observable } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCOPES } from '../../src/common/principal.js';
import type { Answer, TestUser } from '../support/api.js';
import { ADMIN, TestServer } from '../support/server.js';

const WRONG = 'Wrong-horse-1';

const times = <T>(count: number, act: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, n) => act(n)));

/** Holds requests between the guard and the act until as many are there as `X-Gate` says: none comes too late to race. */
@Injectable()
class Gate implements NestInterceptor {
  private readonly held: (() => void)[] = [];

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const { headers } = context.switchToHttp().getRequest<Pick<FastifyRequest, 'headers'>>();
    const count = context.getType() === 'http' ? Number(headers['x-gate'] ?? 0) : 0;
    if (count > 0) {
      await new Promise<void>((resolve) => {
        this.held.push(resolve);
        if (this.held.length >= count) for (const release of this.held.splice(0)) release();
      });
    }
    return next.handle();
  }
}

@Module({ providers: [{ provide: APP_INTERCEPTOR, useClass: Gate }] })
class GateModule {}

let server: TestServer;
let admin: string;
async function start(): Promise<void> {
  server = await TestServer.start({}, [GateModule]);
  admin = (await server.api.login(ADMIN)).accessToken;
}
const login = (email: string, password: string) => server.api.post('/auth/login', { email, password });
const sessionsOf = async (token: string) =>
  (await server.api.get('/users/me/sessions', token)).body.data.sessions as { id: string }[];

describe('the last admin', () => {
  interface Actor {
    id: string;
    token: string;
  }
  /** What one admin does to another, at the same time as others of so many. */
  type Act = (count: number, by: Actor, on: Actor) => Promise<Answer>;
  const gated = (count: number, { token }: Actor, method: string, to: string, body?: object) =>
    server.api.call(method, to, { token, headers: { 'X-Gate': String(count) }, ...(body && { body }) });
  const path = ({ id }: Actor, rest = '') => `/admin/users/${id}${rest}`;
  const acts: Record<string, Act> = {
    demotes: (count, by, on) => gated(count, by, 'PATCH', path(on, '/role'), { role: 'user' }),
    bans: (count, by, on) => gated(count, by, 'POST', path(on, '/ban'), { reason: 'coup' }),
    deletes: (count, by, on) => gated(count, by, 'DELETE', path(on)),
  };
  const resigns = (count: number, by: Actor) => gated(count, by, 'DELETE', '/users/me');
  const duels = Object.keys(acts).flatMap((one, n, all) => all.slice(n).map((two) => [one, two] as const));

  beforeAll(() => start());
  afterAll(() => server.close());

  let admins = 0;
  async function newAdmin(by: string): Promise<Actor> {
    const account = { email: `admin-${(admins += 1)}@example.com`, password: 'Admin-password-1' };
    const { body } = await server.api.post('/admin/users', { ...account, role: 'admin' }, by);
    return { id: body.data.id as string, token: (await server.api.login(account)).accessToken };
  }
  /** The admins that are left and can do something, as one of them sees it. */
  async function left(actors: Actor[]): Promise<string[]> {
    for (const { token } of actors) {
      const { status, body } = await server.api.get('/admin/users?role=admin', token);
      const items = (body.data?.items ?? []) as { id: string; status: string }[];
      if (status === 200) return items.filter((item) => item.status === 'active').map(({ id }) => id);
    }
    return [];
  }
  /** Starts a server of its own with so many admins, the first admin among them. */
  async function court(count: number): Promise<Actor[]> {
    await server.close();
    await start();
    const first = { id: (await server.api.get('/users/me', admin)).body.data.id as string, token: admin };
    const others = await times(count - 1, () => newAdmin(admin));
    return [first, ...others];
  }

  it.each(duels)('is left of two when one %s the other, who %s back at the same time', async (one, two) => {
    const [a, b] = (await court(2)) as [Actor, Actor];
    for (let round = 0; round < 3; round += 1) {
      const rival = round === 0 ? b : await newAdmin(a.token);
      const answers = await Promise.all([acts[one]?.(2, a, rival), acts[two]?.(2, rival, a)]);
      expect(answers.filter((answer) => (answer?.status ?? 500) < 300)).toHaveLength(1);
      const remaining = await left([a, rival]);
      expect(remaining).toHaveLength(1);
      // The winner stays on for another round where it is the one who makes the next rival.
      if (remaining[0] !== a.id) Object.assign(a, rival);
    }
  });

  it.each(Object.keys(acts))('is left of four in a ring, where each %s the next', async (act) => {
    const ring = await court(4);
    await times(4, async (n) => acts[act]?.(4, ring[n] as Actor, ring[(n + 1) % 4] as Actor));
    expect(await left(ring)).toHaveLength(1);
  });

  it('cannot resign', async () => {
    const [a] = (await court(1)) as [Actor];
    const answer = await resigns(1, a);
    expect([answer.status, await left([a])]).toEqual([409, [a.id]]);
  });

  it('is left when both resign at once', async () => {
    const [a, b] = (await court(2)) as [Actor, Actor];
    await Promise.all([resigns(2, a), resigns(2, b)]);
    expect(await left([a, b])).toHaveLength(1);
  });
});

describe('an API key', () => {
  let user: TestUser;
  beforeAll(async () => {
    await start();
    user = await server.api.register();
  });
  afterAll(() => server.close());

  const newKey = async (token: string, scopes: readonly string[] = SCOPES) =>
    (await server.api.post('/api-keys', { name: 'A program', scopes }, token)).body.data as {
      key: { id: string };
      rawKey: string;
    };
  const by = (rawKey: string, method: string, path: string, body?: object) =>
    server.api.call(method, path, { headers: { 'X-API-Key': rawKey }, ...(body && { body }) });

  it('of every scope, an admin’s too, manages no keys, sessions, passwords, addresses or second factors', async () => {
    for (const token of [user.accessToken, admin]) {
      const { key, rawKey } = await newKey(token);
      const [session] = await sessionsOf(token);
      const before = (await server.api.get('/users/me', token)).body.data;
      const password = { password: 'Another-horse-2', currentPassword: user.password };
      for (const [method, path, body] of [
        ['POST', '/api-keys', { name: 'x', scopes: ['events:read'] }],
        ['DELETE', `/api-keys/${key.id}`],
        ['DELETE', `/users/me/sessions/${session?.id}`],
        ['PATCH', '/users/me', password],
        ['PATCH', '/users/me', { email: 'mine-now@example.com' }],
        ['POST', '/auth/logout', { refreshToken: user.refreshToken }],
        ['POST', '/auth/mfa/setup'],
        ['POST', '/auth/mfa/enable', { secret: 'x', code: '000000' }],
        ['POST', '/auth/mfa/disable', { code: '000000' }],
      ] as [string, string, object?][]) {
        const { status } = await by(rawKey, method, path, body);
        expect([method, path, status]).toEqual([method, path, 403]);
      }
      expect((await server.api.get('/users/me', token)).body.data).toEqual(before);
      expect((await by(rawKey, 'GET', '/events')).status).toBe(200);
    }
  });

  it('of a user, with every scope, reaches nothing of the admins’', async () => {
    const { rawKey } = await newKey(user.accessToken);
    const victim = await server.api.register();
    for (const [method, path, body] of [
      ['GET', '/admin/users'],
      ['POST', '/admin/users', { email: 'mine@example.com', password: 'Correct-horse-1', role: 'admin' }],
      ['GET', `/admin/users/${victim.id}`],
      ['PATCH', `/admin/users/${user.id}/role`, { role: 'admin' }],
      ['POST', `/admin/users/${victim.id}/ban`, { reason: 'x' }],
      ['POST', `/admin/users/${victim.id}/unban`],
      ['POST', `/admin/users/${victim.id}/unlock`],
      ['DELETE', `/admin/users/${victim.id}`],
      ['GET', '/webhooks'],
      ['POST', '/webhooks', { url: 'https://example.com/hook', events: ['*'] }],
      ['GET', '/jobs'],
      ['GET', '/jobs/stats'],
      ['GET', '/audit'],
      ['GET', '/audit/verification'],
      ['POST', '/jobs/redrive', { type: 'mail.send' }],
    ] as [string, string, object?][]) {
      const { status } = await by(rawKey, method, path, body);
      expect([method, path, status]).toEqual([method, path, 403]);
    }
    const { body } = await server.api.get('/admin/users?role=admin', admin);
    expect(body.data.total).toBe(1);
    expect((await server.api.get('/users/me', victim.accessToken)).status).toBe(200);
  });

  it('loses an admin’s reach with its owner’s role, at once and on live connections', async () => {
    const deputy = await server.api.register();
    const setRole = (role: string) => server.api.patch(`/admin/users/${deputy.id}/role`, { role }, admin);
    await setRole('admin');
    const { rawKey } = await newKey(deputy.accessToken);
    const socket = await server.webSocket();
    socket.send({ type: 'auth', apiKey: rawKey }, { type: 'subscribe', events: ['login.failed', 'user.updated'] });
    await socket.next(({ type }) => type === 'subscribed');
    const reach = async () => {
      const statuses: number[] = [];
      for (const path of ['/admin/users', '/webhooks', '/jobs', `/admin/users/${user.id}`, '/users/me']) {
        statuses.push((await by(rawKey, 'GET', path)).status);
      }
      return statuses;
    };
    const foreign = async () =>
      ((await by(rawKey, 'GET', '/events?limit=200')).body.data.items as object[]).filter(
        (event) => !JSON.stringify(event).includes(deputy.id),
      ).length;
    expect(await reach()).toEqual([200, 200, 200, 200, 200]);
    expect(await foreign()).toBeGreaterThan(0);
    await login(user.email, WRONG);
    await socket.nextEvent('login.failed');

    await setRole('user');
    expect(await reach()).toEqual([403, 403, 403, 403, 200]);
    expect(await foreign()).toBe(0);
    await socket.nextEvent('user.updated');
    await login(user.email, WRONG);
    await login(deputy.email, WRONG);
    const event = (await socket.nextEvent('login.failed'))['event'];
    expect(event).toMatchObject({ payload: { email: deputy.email } });
    const { status } = await by(rawKey, 'PATCH', `/admin/users/${deputy.id}/role`, { role: 'admin' });
    expect(status).toBe(403);
  });
});
