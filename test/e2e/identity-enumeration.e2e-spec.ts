import { randomInt, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mailedToken, turnOnMfa } from '../support/accounts.js';
import { Api, type Answer } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { seededRandom } from '../support/random.js';
import { ADMIN, TestServer } from '../support/server.js';

const SEED = Number(process.env['ATTACK_SEED'] ?? randomInt(2 ** 31));

/** All that an answer shows, without what differs from one request to the next anyway. */
function seen({ status, headers, body }: Answer): object {
  const changing = /^(date|retry-after|x-request-id|x-ratelimit-(remaining|reset))$/;
  const shown = [...headers].map(([name, value]) => [name, changing.test(name) ? 'any' : value]);
  return { status, headers: Object.fromEntries(shown), body: { ...body, requestId: undefined } };
}

/** Every answer shows the same, and it is this status. */
async function expectAlike(status: number, answers: Record<string, Answer | Promise<Answer>>): Promise<void> {
  const shown: [string, object][] = [];
  for (const [name, answer] of Object.entries(answers)) shown.push([name, seen(await answer)]);
  const first = shown[0]?.[1];
  expect(first).toMatchObject({ status });
  for (const [name, one] of shown) expect({ name, ...one }).toEqual({ name, ...first });
}

describe(`nothing tells who has an account (ATTACK_SEED=${SEED})`, () => {
  let server: TestServer;
  let locking: TestServer;
  let admin: string;
  /** Addresses of every kind, none of which may be told from the others. */
  const addresses: Record<string, string> = { unknown: `nobody-${randomUUID()}@example.com` };
  beforeAll(async () => {
    // The limits are on, and far away, so that their headers are part of what is compared.
    server = await TestServer.start({ LOCKOUT_MAX_ATTEMPTS: '0', AUTH_RATE_LIMIT_MAX: '10000' });
    locking = await TestServer.start({ LOCKOUT_MAX_ATTEMPTS: '2', AUTH_RATE_LIMIT_MAX: '10000' });
    const { api } = server;
    admin = (await api.login(ADMIN)).accessToken;
    const [known, guarded, banned] = [await api.register(), await api.register(), await api.register()];
    await turnOnMfa(server, guarded);
    await api.post(`/admin/users/${banned.id}/ban`, { reason: 'spam' }, admin);
    Object.assign(addresses, { known: known.email, 'with a second factor': guarded.email, banned: banned.email });
  });
  afterAll(async () => {
    await server.close();
    await locking.close();
  });

  const login = (on: TestServer, email: string, password = 'Wrong-horse-1') =>
    on.api.post('/auth/login', { email, password });
  const forgot = (email: string) => server.api.post('/auth/forgot-password', { email });
  const forEach = (ask: (email: string) => Promise<Answer>) =>
    Object.fromEntries(Object.entries(addresses).map(([name, email]) => [name, ask(email)]));

  it('neither a login with a wrong password', () =>
    expectAlike(
      401,
      forEach((email) => login(server, email)),
    ));

  it('nor a forgotten password', () => expectAlike(200, forEach(forgot)));

  it('nor a registration that would fail anyway', () =>
    expectAlike(
      400,
      forEach((email) => server.api.post('/auth/register', { email, password: 'weak' })),
    ));

  it('nor a lock: it comes at the same attempt and says the same, to the right password too', async () => {
    const user = await locking.api.register();
    const before: Record<string, Answer> = {};
    const at: Record<string, Answer> = {};
    for (const [name, email] of [
      ['known', user.email],
      ['unknown', `nobody-${randomUUID()}@example.com`],
    ] as const) {
      before[name] = await login(locking, email);
      at[name] = await login(locking, email);
      at[`${name}, later`] = await login(locking, email);
    }
    at['known, the right password'] = await login(locking, user.email, user.password);
    await expectAlike(401, before);
    await expectAlike(403, at);
  });

  it('nor a token that is worth nothing, whatever the reason', async () => {
    const { api } = server;
    const [user, gone] = [await api.register(), await api.register()];
    const page = 'verify-email';
    const first = await mailedToken(server, page, user.email);
    await api.post('/auth/resend-verification', undefined, user.accessToken);
    const second = await mailedToken(server, page, user.email, [first]);
    const ofGone = await mailedToken(server, page, gone.email);
    await turnOnMfa(server, gone);
    const { mfaToken } = (await login(server, gone.email, gone.password)).body.data;
    await api.delete('/users/me', gone.accessToken);
    const verify = (token: string) => api.post('/auth/verify-email', { token });
    expect((await verify(second)).status).toBe(200);
    const refused = { unknown: verify('unknown'), replaced: verify(first), used: verify(second) };
    await expectAlike(401, { ...refused, 'of an account that is gone': verify(ofGone) });

    const showCode = (token: string) => api.post('/auth/mfa/verify', { mfaToken: token, code: '000000' });
    await expectAlike(401, { unknown: showCode('unknown'), gone: showCode(mfaToken as string) });

    const refresh = (refreshToken: string) => api.post('/auth/refresh', { refreshToken });
    const [ended, used] = [await api.login(user), await api.login(user)];
    await api.post('/auth/logout', { refreshToken: ended.refreshToken }, ended.accessToken);
    const child = (await refresh(used.refreshToken)).body.data as { refreshToken: string };
    await refresh(child.refreshToken);
    const dead = { used: refresh(used.refreshToken), ended: refresh(ended.refreshToken) };
    await expectAlike(401, { ...dead, gone: refresh(gone.refreshToken), unknown: refresh('unknown') });
  });

  it('nor the id of what belongs to somebody else', async () => {
    const { api } = server;
    const [mallory, victim] = [await api.register(), await api.register()];
    const of = async (path: string) => (await api.get(path, victim.accessToken)).body.data;
    const key = await api.post('/api-keys', { name: 'x', scopes: ['events:read'] }, victim.accessToken);
    for (const [method, path, theirs] of [
      ['DELETE', '/users/me/sessions', (await of('/users/me/sessions')).sessions[0].id],
      ['DELETE', '/api-keys', key.body.data.key.id],
      ['GET', '/events', (await of('/events')).items[0].id],
    ] as [string, string, string][]) {
      const ask = (id: string) => api.call(method, `${path}/${id}`, { token: mallory.accessToken });
      const nobodys = theirs.replace(/[\da-f]{12}$/, '0123456789ab');
      await expectAlike(404, { theirs: ask(theirs), 'nobody’s': ask(nobodys) });
    }
    const asAdmin = (id: string) => api.get(`/admin/users/${id}`, mallory.accessToken);
    await expectAlike(403, { theirs: asAdmin(victim.id), 'nobody’s': asAdmin(randomUUID()) });
    expect((await api.get('/users/me', victim.accessToken)).status).toBe(200);
  });

  describe('in the time it takes', () => {
    /** Knows when an answer came, for each way of asking, in a random order; the first few are not counted. */
    async function medians(
      rounds: number,
      ways: Record<string, () => Promise<Answer>>,
    ): Promise<Record<string, number>> {
      const random = seededRandom(SEED);
      const order = Object.keys(ways).flatMap((name) => Array.from({ length: rounds }, () => ({ name, at: random() })));
      for (const ask of Object.values(ways)) for (let n = 0; n < 3; n += 1) await ask();
      const times: Record<string, number[]> = {};
      for (const { name } of order.toSorted((a, b) => a.at - b.at)) {
        const start = performance.now();
        await ways[name]?.();
        (times[name] ??= []).push(performance.now() - start);
      }
      const median = (some: number[]) => some.toSorted((a, b) => a - b)[rounds / 2] ?? 0;
      return Object.fromEntries(Object.entries(times).map(([name, some]) => [name, median(some)]));
    }

    function expectSameTime(times: Record<string, number>): void {
      const shown = `ATTACK_SEED=${SEED}, medians in ms: ${JSON.stringify(times)}`;
      process.stdout.write(`${shown}\n`);
      const known = times['known'] ?? 0;
      for (const time of Object.values(times)) {
        expect(time / known, shown).toBeGreaterThan(0.6);
        expect(time / known, shown).toBeLessThan(1.67);
      }
    }

    it('to refuse a login: known, unknown or locked, with a wrong password or the right one', async () => {
      const user = await locking.api.register();
      for (let n = 0; n < 2; n += 1) await login(locking, user.email);
      const nobody = `nobody-${randomUUID()}@example.com`;
      for (let n = 0; n < 2; n += 1) await login(locking, nobody);
      expectSameTime(
        await medians(40, {
          known: () => login(server, String(addresses['known'])),
          unknown: () => login(server, String(addresses['unknown'])),
          locked: () => login(locking, user.email),
          'locked, the right password': () => login(locking, user.email, user.password),
          'locked, unknown': () => login(locking, nobody),
        }),
      );
    });

    it('to take note of a forgotten password', async () => {
      // A process of its own, the way it is deployed: here its jobs would run on the clock of the one who asks.
      const folder = temporaryFolder();
      const built = await BuiltServer.start({
        NODE_ENV: 'test',
        DATABASE_URL: `sqlite:${join(folder.path, 'herald.sqlite')}`,
        AUTH_RATE_LIMIT_MAX: '0',
      });
      try {
        const api = new Api(`${built.url}/api/v1`);
        const { email } = await api.register();
        const ask = (of: string) => () => api.post('/auth/forgot-password', { email: of });
        expectSameTime(await medians(150, { known: ask(email), unknown: ask(`nobody-${randomUUID()}@example.com`) }));
      } finally {
        await built.stop('SIGTERM');
        folder.remove();
      }
    });
  });
});
