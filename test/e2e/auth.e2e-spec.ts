import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Housekeeping } from '../../src/database/housekeeping.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { Session } from '../../src/users/session.entity.js';
import { User } from '../../src/users/user.entity.js';
import { ADMIN, TestServer } from '../support/server.js';

const DAY_MS = 86_400_000;
const KEY = 'a-key-of-this-test-that-is-long-enough';

describe('auth', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ LOCKOUT_MAX_ATTEMPTS: '3', JWT_SECRET: KEY });
  });
  afterAll(() => server.close());

  const refresh = (refreshToken: string) => server.api.post('/auth/refresh', { refreshToken });
  const me = (token: string) => server.api.get('/users/me', token);

  describe('registration', () => {
    it('answers 201 with tokens that work, and the address in lower case', async () => {
      const answer = await server.api.post('/auth/register', {
        email: ' Some.One@Example.COM ',
        password: 'Zebra-run1',
      });
      expect(answer.status).toBe(201);
      expect(Object.keys(answer.body.data)).toEqual(['accessToken', 'refreshToken']);
      const profile = await me(answer.body.data.accessToken);
      expect(profile.body.data).toStrictEqual({
        id: profile.body.data.id,
        email: 'some.one@example.com',
        role: 'user',
        emailVerified: false,
        mfaEnabled: false,
        createdAt: profile.body.data.createdAt,
        updatedAt: profile.body.data.createdAt,
      });
      expect(Math.abs(Date.now() - profile.body.data.createdAt)).toBeLessThan(60_000);
    });

    it('answers 409 for a taken address, in any case of letters', async () => {
      const user = await server.api.register();
      const body = { email: user.email.toUpperCase(), password: user.password };
      const answer = await server.api.post('/auth/register', body);
      expect(answer.status).toBe(409);
      expect(answer.body.error).toMatchObject({ code: 'CONFLICT', details: [{ field: 'email', code: 'EMAIL_TAKEN' }] });
    });

    it('of one address twenty times at once makes one account', async () => {
      const body = { email: 'race@example.com', password: 'Zebra-run1' };
      const answers = await Promise.all(Array.from({ length: 20 }, () => server.api.post('/auth/register', body)));
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    });

    it('answers 400 with every broken rule of the password policy', async () => {
      const answer = await server.api.post('/auth/register', { email: 'weak@example.com', password: 'abc' });
      expect(answer.status).toBe(400);
      expect(answer.body.error.code).toBe('BAD_REQUEST');
      expect((answer.body.error.details as { code: string }[]).map(({ code }) => code)).toEqual([
        'PASSWORD_TOO_SHORT',
        'PASSWORD_NO_UPPER',
        'PASSWORD_NO_DIGIT',
      ]);
    });

    it('takes no role from the body', async () => {
      const body = { email: 'mass@example.com', password: 'Zebra-run1', role: 'admin' };
      const answer = await server.api.post('/auth/register', body);
      expect(answer.status).toBe(422);
    });
  });

  describe('lockout', () => {
    const attempt = (email: string, password: string) => server.api.post('/auth/login', { email, password });

    it('is the same with and without an account, and counts per address', async () => {
      const user = await server.api.register();
      for (const email of [user.email, 'nobody-at-all@example.com']) {
        expect((await attempt(email, 'x')).status).toBe(401);
        expect((await attempt(email, 'x')).status).toBe(401);
        const locked = await attempt(email, 'x');
        expect(locked.status).toBe(403);
        expect(locked.headers.get('retry-after')).toBe('900');
        expect(locked.body.error).toMatchObject({ code: 'FORBIDDEN', details: [{ code: 'ACCOUNT_LOCKED' }] });
      }
      expect((await attempt(user.email, user.password)).status).toBe(403);
    });

    it('forgets the failures with a success', async () => {
      const user = await server.api.register();
      for (let round = 0; round < 3; round += 1) {
        expect((await attempt(user.email, 'x')).status).toBe(401);
        expect((await attempt(user.email, 'x')).status).toBe(401);
        expect((await attempt(user.email, user.password)).status).toBe(200);
      }
    });

    it('counts parallel failures exactly: no attempt slips past', async () => {
      const user = await server.api.register();
      const answers = await Promise.all(Array.from({ length: 10 }, () => attempt(user.email, 'x')));
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(2);
      expect(answers.filter(({ status }) => status === 403)).toHaveLength(8);
    });
  });

  it('a ban is told to the right password only, and ends what was going on', async () => {
    const user = await server.api.register();
    await server.app.get(UnitOfWork).run((tx) => tx.update(User, { id: user.id }, { bannedAt: Date.now() }));
    expect((await server.api.post('/auth/login', { email: user.email, password: 'x' })).status).toBe(401);
    const told = await server.api.post('/auth/login', { email: user.email, password: user.password });
    expect(told.status).toBe(403);
    expect(told.body.error.details).toMatchObject([{ code: 'ACCOUNT_BANNED' }]);
    expect((await me(user.accessToken)).status).toBe(401);
    expect((await refresh(user.refreshToken)).status).toBe(401);
  });

  describe('refresh', () => {
    it('rotates: the new pair works, and so does the access token that is still valid', async () => {
      const user = await server.api.register();
      const { status, body } = await refresh(user.refreshToken);
      expect(status).toBe(200);
      expect(body.data.refreshToken).not.toBe(user.refreshToken);
      expect((await me(body.data.accessToken)).status).toBe(200);
      expect((await me(user.accessToken)).status).toBe(200);
    });

    it('reuse of an older token ends the whole family', async () => {
      const user = await server.api.register();
      const second = (await refresh(user.refreshToken)).body.data;
      const third = (await refresh(second.refreshToken)).body.data;
      expect((await refresh(user.refreshToken)).status).toBe(401);
      expect((await refresh(third.refreshToken)).status).toBe(401);
      expect((await me(third.accessToken)).status).toBe(401);
    });

    it('the immediate parent within 10 s gets a fresh pair of the same family: two tabs', async () => {
      const user = await server.api.register();
      const [one, two] = await Promise.all([refresh(user.refreshToken), refresh(user.refreshToken)]);
      expect([one.status, two.status]).toEqual([200, 200]);
      expect(one.body.data.refreshToken).not.toBe(two.body.data.refreshToken);
      expect((await refresh(one.body.data.refreshToken)).status).toBe(200);
      expect((await refresh(two.body.data.refreshToken)).status).toBe(200);
    });

    it('the immediate parent after 10 s ends the family', async () => {
      const user = await server.api.register();
      const child = (await refresh(user.refreshToken)).body.data;
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 10_001 });
      try {
        expect((await refresh(user.refreshToken)).status).toBe(401);
        expect((await refresh(child.refreshToken)).status).toBe(401);
      } finally {
        vi.useRealTimers();
      }
    });

    it('lasts as long as it is used: a session nobody refreshes ends, and is cleared away', async () => {
      const [kept, left] = [await server.api.register(), await server.api.register()];
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 4 * DAY_MS });
      try {
        const next = (await refresh(kept.refreshToken)).body.data;
        vi.setSystemTime(Date.now() + 4 * DAY_MS);
        server.clockWasMoved = true;
        expect((await refresh(left.refreshToken)).status).toBe(401);
        await server.app.get(Housekeeping).runAll();
        expect((await refresh(next.refreshToken)).status).toBe(200);
        const rows = (userId: string) => server.app.get(UnitOfWork).run((tx) => tx.countBy(Session, { userId }));
        expect([await rows(kept.id), await rows(left.id)]).toEqual([1, 0]);
      } finally {
        vi.useRealTimers();
      }
    });

    it('prolongs a session no further than its longest life', async () => {
      let { refreshToken, accessToken } = await server.api.register();
      const begun = Date.now();
      vi.useFakeTimers({ toFake: ['Date'], now: begun });
      server.clockWasMoved = true;
      try {
        for (let days = 6; days <= 30; days += 6) {
          vi.setSystemTime(begun + days * DAY_MS - 60_000);
          const { status, body } = await refresh(refreshToken);
          expect([days, status]).toEqual([days, 200]);
          refreshToken = body.data.refreshToken as string;
          accessToken = body.data.accessToken as string;
        }
        // Nor does an access token outlive it, which would keep a live connection open.
        const { exp } = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString()) as {
          exp: number;
        };
        expect(exp * 1000).toBeLessThanOrEqual(begun + 30 * DAY_MS + 2000);
        vi.setSystemTime(begun + 30 * DAY_MS + 1000);
        expect((await refresh(refreshToken)).status).toBe(401);
      } finally {
        vi.useRealTimers();
      }
    });

    it.each(['nonsense', 'x'.repeat(512), '__proto__'])('refuses %j', async (token) => {
      expect((await refresh(token)).status).toBe(401);
    });
  });

  describe('logout', () => {
    it('ends the session at once: its access and refresh tokens stop working', async () => {
      const user = await server.api.register();
      const other = await server.api.login(user);
      const { status } = await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
      expect(status).toBe(204);
      expect((await me(user.accessToken)).status).toBe(401);
      expect((await refresh(user.refreshToken)).status).toBe(401);
      expect((await me(other.accessToken)).status).toBe(200);
    });

    it('refuses the refresh token of another session', async () => {
      const user = await server.api.register();
      const other = await server.api.register();
      const answer = await server.api.post('/auth/logout', { refreshToken: other.refreshToken }, user.accessToken);
      expect(answer.status).toBe(401);
      expect((await me(other.accessToken)).status).toBe(200);
    });
  });

  describe('an access token', () => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forge = (header: object, payload: object, key = KEY) => {
      const text = `${encode(header)}.${encode(payload)}`;
      return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
    };

    it('is accepted only as made by this service for this purpose', async () => {
      const user = await server.api.register();
      const [head = '', body = '', signature = ''] = user.accessToken.split('.');
      const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as object;
      const payload = JSON.parse(Buffer.from(body, 'base64url').toString()) as { exp: number };
      expect((await me(forge(header, payload))).status).toBe(200);
      const refused = {
        'a refresh token': user.refreshToken,
        'another key': forge(header, payload, 'another-key-that-is-also-long-enough'),
        'no signature': `${head}.${body}.`,
        'alg none': `${encode({ ...header, alg: 'none' })}.${body}.`,
        'another algorithm': forge({ ...header, alg: 'HS512' }, payload),
        'another type': forge({ ...header, typ: 'mfa+jwt' }, payload),
        'no type': forge({ alg: 'HS256' }, payload),
        'another issuer': forge(header, { ...payload, iss: 'somebody' }),
        'another audience': forge(header, { ...payload, aud: 'somebody' }),
        'no audience': forge(header, { ...payload, aud: undefined }),
        'no session': forge(header, { ...payload, sid: undefined }),
        'another session': forge(header, { ...payload, sid: '00000000-0000-4000-8000-000000000000' }),
        'another user': forge(header, { ...payload, sub: '00000000-0000-4000-8000-000000000000' }),
        expired: forge(header, { ...payload, exp: Math.floor(Date.now() / 1000) - 1 }),
        'a changed body': `${head}.${encode({ ...payload, exp: payload.exp + 1 })}.${signature}`,
        nothing: '',
        nonsense: 'a.b.c',
      };
      for (const [name, token] of Object.entries(refused)) {
        const answer = await me(token);
        expect([name, answer.status, answer.body.error.code]).toEqual([name, 401, 'UNAUTHORIZED']);
        expect(JSON.stringify(answer.body)).not.toContain(token === '' ? 'stack' : token);
      }
    });

    it('in the query is no token anywhere but on the stream', async () => {
      const user = await server.api.register();
      expect((await server.api.get(`/users/me?token=${user.accessToken}`)).status).toBe(401);
    });
  });

  it('the first admin exists, and a restart makes no second', async () => {
    const before = await server.api.login(ADMIN);
    expect((await me(before.accessToken)).body.data.role).toBe('admin');
    await server.restart();
    const after = await me(before.accessToken);
    expect(after.body.data.email).toBe(ADMIN.email);
  });
});

describe('rate limits', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ RATE_LIMIT_MAX: '8', AUTH_RATE_LIMIT_MAX: '3', RATE_LIMIT_WINDOW_MS: '60000' });
  });
  afterAll(() => server.close());

  it('answer 429 with Retry-After, stricter on /auth, and leave the probes alone', async () => {
    const login = () => server.api.post('/auth/login', { email: 'a@example.com', password: 'x' });
    for (let n = 0; n < 3; n += 1) expect((await login()).status).toBe(401);
    const limited = await login();
    expect(limited.status).toBe(429);
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(limited.body).toMatchObject({ error: { code: 'RATE_LIMITED' }, requestId: expect.any(String) });
    // The same route, spelt differently, is the same route.
    expect((await server.api.post('/%61uth/login', { email: 'a@example.com', password: 'x' })).status).toBe(429);

    for (let n = 0; n < 8; n += 1) expect((await server.api.get('/users/me')).status).toBe(401);
    expect((await server.api.get('/users/me')).status).toBe(429);
    for (let n = 0; n < 12; n += 1) expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });
});
