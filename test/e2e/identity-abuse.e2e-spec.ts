import { generateSync } from 'otplib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { mailedToken, turnOnMfa } from '../support/accounts.js';
import type { Answer, TestUser, Tokens } from '../support/api.js';
import { ADMIN, TestServer } from '../support/server.js';

const WRONG = 'Wrong-horse-1';

const times = <T>(count: number, act: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, n) => act(n)));
/** How many answers had each status. */
function tally(answers: Answer[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

let server: TestServer;
let admin: string;
async function start(environment: Record<string, string> = {}): Promise<void> {
  server = await TestServer.start(environment);
  admin = (await server.api.login(ADMIN)).accessToken;
}
const login = (email: string, password: string) => server.api.post('/auth/login', { email, password });
const refresh = (refreshToken: string) => server.api.post('/auth/refresh', { refreshToken });
const sessionsOf = async (token: string) =>
  (await server.api.get('/users/me/sessions', token)).body.data.sessions as { id: string }[];

describe('a code that works once', () => {
  beforeAll(() => start({ LOCKOUT_MAX_ATTEMPTS: '0' }));
  afterAll(() => server.close());

  const verify = (mfaToken: string, code: string) => server.api.post('/auth/mfa/verify', { mfaToken, code });
  const passwordRight = async ({ email, password }: TestUser) =>
    (await login(email, password)).body.data.mfaToken as string;

  it.each(['TOTP', 'recovery'])('works once of ten times at once, by ten logins: %s', async (kind) => {
    const user = await server.api.register();
    const { code, recoveryCodes } = await turnOnMfa(server, user);
    const shown = kind === 'TOTP' ? code : String(recoveryCodes[0]);
    const watcher = await server.subscriber(user.accessToken, ['login.*']);
    const mfaTokens = await times(10, () => passwordRight(user));
    const answers = await times(10, (n) => verify(String(mfaTokens[n]), shown));
    expect(tally(answers)).toEqual({ 200: 1, 401: 9 });
    expect(await sessionsOf(user.accessToken)).toHaveLength(2);
    for (let n = 0; n < 9; n += 1) await watcher.nextEvent('login.failed');
    await watcher.settle();
    expect(watcher.events.filter((type) => type === 'login.success')).toHaveLength(1);
  });

  it('works once for whatever it is used: a login or turning the factor off', async () => {
    const user = await server.api.register();
    const { code } = await turnOnMfa(server, user);
    const mfaToken = await passwordRight(user);
    const answers = await Promise.all([
      verify(mfaToken, code),
      server.api.post('/auth/mfa/disable', { code }, user.accessToken),
    ]);
    expect(tally(answers)).toEqual({ 200: 1, 401: 1 });
  });

  it('has worked already when it turned the factor on', async () => {
    const user = await server.api.register();
    const { secret } = (await server.api.post('/auth/mfa/setup', undefined, user.accessToken)).body.data;
    const code = generateSync({ secret: secret as string });
    const answers = await times(10, () =>
      server.api.post('/auth/mfa/enable', { secret: secret as string, code }, user.accessToken),
    );
    expect(tally(answers)).toEqual({ 200: 1, 409: 9 });
    expect((await verify(await passwordRight(user), code)).status).toBe(401);
  });
});

describe('a stolen refresh token', () => {
  beforeAll(() => start());
  afterAll(() => server.close());

  it('used at once with its owner’s stays in the one session, and its reuse ends all that came of it', async () => {
    const user = await server.api.register();
    const other = await server.api.login(user);
    const pairs = (await times(10, () => refresh(user.refreshToken))).map(({ status, body }) => {
      expect(status).toBe(200);
      return body.data as Tokens;
    });
    expect(new Set(pairs.map(({ refreshToken }) => refreshToken)).size).toBe(10);
    expect(await sessionsOf(user.accessToken)).toHaveLength(2);
    const [socket, witness] = [await server.subscriber(user.accessToken), await server.subscriber(other.accessToken)];
    // One of the children is used, so the parent is no longer the immediate one, however soon it comes again.
    await refresh(String(pairs[0]?.refreshToken));
    expect((await refresh(user.refreshToken)).status).toBe(401);
    expect((await socket.closed).code).toBe(4403);
    for (const { accessToken, refreshToken } of pairs) {
      expect((await server.api.get('/users/me', accessToken)).status).toBe(401);
      expect((await refresh(refreshToken)).status).toBe(401);
    }
    // The user's other session is another family.
    await witness.settle();
    expect((await refresh(other.refreshToken)).status).toBe(200);
  });

  it('that is reused many times at once, beside the owner’s next one, leaves nobody a way in', async () => {
    const user = await server.api.register();
    const child = (await refresh(user.refreshToken)).body.data as Tokens;
    const grandchild = (await refresh(child.refreshToken)).body.data as Tokens;
    const [reused, next] = await Promise.all([
      times(5, () => refresh(user.refreshToken)),
      refresh(grandchild.refreshToken),
    ]);
    expect(tally(reused)).toEqual({ 401: 5 });
    const left = [user, child, grandchild, ...(next.status === 200 ? [next.body.data as Tokens] : [])];
    for (const { accessToken, refreshToken } of left) {
      expect((await server.api.get('/users/me', accessToken)).status).toBe(401);
      expect((await refresh(refreshToken)).status).toBe(401);
    }
  });

  it('is worth nothing once its session was ended from elsewhere, also at the same moment', async () => {
    const user = await server.api.register();
    const other = await server.api.login(user);
    const [taken] = await Promise.all([
      refresh(user.refreshToken),
      server.api.delete('/users/me/sessions', other.accessToken),
    ]);
    const { refreshToken } = (taken.body.data as Tokens | undefined) ?? user;
    expect((await refresh(refreshToken)).status).toBe(401);
    expect(await sessionsOf(other.accessToken)).toHaveLength(1);
  });
});

describe('guessing against the lock', () => {
  const LOCK_MS = 15 * 60_000;
  beforeAll(() => start({ LOCKOUT_MAX_ATTEMPTS: '3', LOCKOUT_DURATION_MS: String(LOCK_MS), JWT_EXPIRES_IN: '1d' }));
  afterAll(() => server.close());

  const lock = async ({ email }: TestUser) => {
    for (let n = 0; n < 3; n += 1) await login(email, WRONG);
  };

  it('gets three tries of thirty at once, in whatever spelling, and one lock', async () => {
    const user = await server.api.register();
    const watcher = await server.subscriber(admin, ['account.locked', 'login.failed']);
    const spellings = [user.email, user.email.toUpperCase(), `  ${user.email} `];
    const answers = await times(30, (n) => login(String(spellings[n % 3]), WRONG));
    expect(tally(answers)).toEqual({ 401: 2, 403: 28 });
    expect((await login(user.email, user.password)).status).toBe(403);
    for (let n = 0; n < 31; n += 1) await watcher.nextEvent('login.failed');
    await watcher.settle();
    expect(watcher.events.filter((type) => type === 'account.locked')).toHaveLength(1);
  });

  it('gets three tries at the second factor too, by whatever login', async () => {
    const user = await server.api.register();
    const { code } = await turnOnMfa(server, user);
    const mfaTokens = await times(
      10,
      async () => (await login(user.email, user.password)).body.data.mfaToken as string,
    );
    const wrong = code === '000000' ? '000001' : '000000';
    const answers = await times(10, (n) =>
      server.api.post('/auth/mfa/verify', { mfaToken: mfaTokens[n], code: wrong }),
    );
    expect(tally(answers)).toEqual({ 401: 2, 403: 8 });
    expect((await server.api.post('/auth/mfa/verify', { mfaToken: mfaTokens[0], code })).status).toBe(403);
  });

  it('does not prolong a lock, which ends on time and forgets the guesses', async () => {
    const user = await server.api.register();
    const begun = Date.now();
    vi.useFakeTimers({ toFake: ['Date'], now: begun });
    try {
      await lock(user);
      for (const password of [WRONG, user.password]) {
        vi.setSystemTime(begun + LOCK_MS - 60_000);
        const locked = await login(user.email, password);
        expect([locked.status, locked.headers.get('retry-after')]).toEqual([403, '60']);
      }
      vi.setSystemTime(begun + LOCK_MS + 1);
      expect((await login(user.email, WRONG)).status).toBe(401);
      expect((await login(user.email, WRONG)).status).toBe(401);
      expect((await login(user.email, user.password)).status).toBe(200);
    } finally {
      vi.useRealTimers();
    }
  });

  it('locks nobody out who is in: sessions, streams, refreshing and the mailed reset go on', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken, ['account.locked']);
    await lock(user);
    await socket.nextEvent('account.locked');
    await socket.settle();
    expect((await server.api.get('/users/me', user.accessToken)).status).toBe(200);
    const { status, body } = await refresh(user.refreshToken);
    expect(status).toBe(200);
    expect((await server.api.get('/users/me', body.data.accessToken as string)).status).toBe(200);
    await server.api.post('/auth/forgot-password', { email: user.email });
    const token = await mailedToken(server, 'reset-password', user.email);
    const reset = await server.api.post('/auth/reset-password', { token, password: 'Another-horse-2' });
    expect(reset.status).toBe(200);
  });
});
