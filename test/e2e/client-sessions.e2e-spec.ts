import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  HeraldClient,
  HeraldError,
  type Auth,
  type ClientOptions,
  type Tokens,
  type TokenStore,
} from '../../src/client/herald-client.js';
import { FollowedClient, numbers, publishFailures } from '../support/followed-client.js';
import { ADMIN, TestServer } from '../support/server.js';

afterEach(() => FollowedClient.closeAll());

describe.each(['websocket', 'sse'] as const)('who the client is, over %s', (transport) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ SSE_HEARTBEAT_MS: '300' });
  });
  afterAll(() => server.close());
  const follow = (auth: Auth, options: ClientOptions = {}) =>
    FollowedClient.of(server, { transport, auth, ...options });

  it('stops when its session is revoked, after the event that tells why; and goes on after a new login', async () => {
    const user = await server.api.register();
    const followed = await follow(user, { events: ['*'] }).live();
    await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    expect(await followed.next('stopped')).toMatchObject({ reason: 'revoked' });
    expect(followed.events.all.map(({ type }) => type)).toEqual(['logout']);
    followed.client.connect();
    expect(await followed.next('stopped')).toMatchObject({ reason: 'unauthorized', error: { status: 401 } });
    followed.client.connect({ auth: await server.api.login(user) });
    await followed.next('live');
    // What happened in between comes too.
    expect((await followed.events.next(({ type }) => type === 'login.success')).type).toBe('login.success');
  });

  it('stops when another session changes the password; the one that changed it stays', async () => {
    const user = await server.api.register();
    const [other, own] = [await follow(await server.api.login(user)).live(), await follow(user).live()];
    await own.client.api.patch('/users/me', { password: 'Another-horse-2', currentPassword: user.password });
    expect(await other.next('stopped')).toMatchObject({ reason: 'revoked' });
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await own.failureOf(user.email);
    expect(own.statuses).toEqual(['connecting', 'live']);
  });

  it('works with an API key until it is revoked; one without the scope stops it', async () => {
    const user = await server.api.register();
    const make = async (scopes: string[]) =>
      (await server.api.post('/api-keys', { name: 'A program', scopes }, user.accessToken)).body.data;
    const { key, rawKey } = await make(['events:read']);
    const followed = await follow({ apiKey: rawKey }).live();
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await followed.failureOf(user.email);
    await server.api.delete(`/api-keys/${key.id}`, user.accessToken);
    expect(await followed.next('stopped')).toMatchObject({ reason: 'revoked' });
    const without = follow({ apiKey: (await make(['users:read'])).rawKey });
    without.client.connect();
    expect(await without.next('stopped')).toMatchObject({ reason: 'unauthorized', error: { code: 'FORBIDDEN' } });
  });
});

describe.each(['websocket', 'sse'] as const)('tokens that live four seconds, over %s', (transport) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ JWT_EXPIRES_IN: '4s' });
  });
  afterAll(() => server.close());

  /** What `fetch` asked for, by path. */
  function counted(): { fetch: typeof fetch; count: (path: string) => number } {
    const paths: string[] = [];
    const count = (path: string): number => paths.filter((one) => one.endsWith(path)).length;
    return {
      count,
      fetch: (input, init) => (paths.push(new URL(new Request(input).url).pathname), fetch(input, init)),
    };
  }
  /** Publishes an event every now and then, until so many have arrived. */
  async function publishUntil(count: number, arrived: () => number): Promise<void> {
    for (let n = 1; n <= count; n += 1) {
      await publishFailures(server, n, n);
      await expect.poll(arrived, { timeout: 5000, interval: 250 }).toBe(n);
    }
  }

  it('are replaced in time, again and again, and nothing is missed or said twice', async () => {
    const { fetch, count } = counted();
    const followed = await FollowedClient.of(server, { transport, auth: await server.api.login(ADMIN), fetch }).live();
    await publishUntil(28, () => followed.failures.length);
    expect(followed.failures).toEqual(numbers(1, 28));
    // In place, or without a word: nobody was told of a pause.
    expect(followed.statuses).toEqual(['connecting', 'live']);
    expect(count('/auth/refresh')).toBeGreaterThanOrEqual(2);
  });

  it('are replaced once for all who need one', async () => {
    const { fetch, count } = counted();
    const user = await server.api.register();
    const { client } = FollowedClient.of(server, { transport, auth: user, fetch });
    await expect
      .poll(() => server.api.get('/users/me', user.accessToken), { timeout: 8000, interval: 100 })
      .toMatchObject({ status: 401 });
    client.connect();
    await Promise.all(Array.from({ length: 10 }, () => client.api.get('/users/me')));
    expect(count('/auth/refresh')).toBe(1);
  });

  it('are shared by two tabs', async () => {
    let kept: Tokens = await server.api.login(ADMIN);
    const store: TokenStore = { get: () => kept, set: (tokens) => (kept = tokens) };
    const tabs = await Promise.all([1, 2].map(() => FollowedClient.of(server, { transport, auth: store }).live()));
    await publishUntil(16, () => Math.min(...tabs.map(({ failures }) => failures.length)));
    for (const { failures, statuses } of tabs) {
      expect(failures).toEqual(numbers(1, 16));
      expect(statuses).toEqual(['connecting', 'live']);
    }
  });

  it('end with the session: the client stops', async () => {
    const user = await server.api.register();
    const source = async (stale?: string): Promise<string> => {
      if (stale !== undefined) throw new HeraldError('UNAUTHORIZED', 'The cookie is gone', 401);
      return (await server.api.login(user)).accessToken;
    };
    const followed = await FollowedClient.of(server, { transport, auth: source }).live();
    expect(await followed.next('stopped')).toMatchObject({
      reason: 'unauthorized',
      error: { message: 'The cookie is gone' },
    });
  });
});

describe('the REST helper', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.close());

  it('logs in, answers with data, and fails with what the service said', async () => {
    const user = await server.api.register();
    const anonymous = new HeraldClient({ url: server.url });
    const { email, password } = user;
    const auth = await anonymous.api.post<Tokens>('/auth/login', { email, password });
    const { api } = new HeraldClient({ url: `${server.url}/`, auth });
    expect(await api.get('/users/me')).toMatchObject({ id: user.id, email });
    const error: HeraldError = await api.patch('/users/me', { email: 'no address' }).then(String, (reason) => reason);
    expect(error).toBeInstanceOf(HeraldError);
    expect(error).toMatchObject({ code: 'VALIDATION', status: 422, details: [{ field: 'email' }] });
    expect(error.requestId).toMatch(/^[\w-]{36}$/);
    await expect(anonymous.api.get('/users/me')).rejects.toMatchObject({ code: 'UNAUTHORIZED', status: 401 });
    expect(await api.post('/auth/logout', { refreshToken: auth.refreshToken })).toBeUndefined();
  });

  it('never sends a wrong password twice', async () => {
    const user = await server.api.register();
    const { api } = new HeraldClient({ url: server.url, auth: user });
    const change = { password: 'Another-horse-2', currentPassword: 'wrong' };
    for (let n = 0; n < 4; n += 1) await expect(api.patch('/users/me', change)).rejects.toMatchObject({ status: 401 });
    // The fifth would lock, were each counted twice the third would have.
    await expect(api.patch('/users/me', change)).rejects.toMatchObject({ status: 403 });
  });

  it('says that there was no answer, by nobody or in time, and why', async () => {
    const { api } = new HeraldClient({ url: 'http://127.0.0.1:1' });
    await expect(api.get('/users/me')).rejects.toMatchObject({ code: 'NETWORK', status: 0 });
    const via = await FollowedClient.proxy(server);
    via.conduct = { swallows: true };
    const slow = new HeraldClient({ url: via.url, timeoutMs: 100 });
    await expect(slow.api.get('/users/me')).rejects.toThrow('no answer within 100 ms');
    await expect(slow.api.get('/users/me', { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
  });
});
