import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Auth, ClientOptions } from '../../src/client/herald-client.js';
import { Housekeeping } from '../../src/database/housekeeping.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventRow } from '../../src/events/event.entity.js';
import { FollowedClient, numbers, publishFailures } from '../support/followed-client.js';
import { ADMIN, TestServer } from '../support/server.js';

afterEach(() => FollowedClient.closeAll());

describe.each(['websocket', 'sse'] as const)('the client over %s', (transport) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ SSE_HEARTBEAT_MS: '300' });
  });
  afterAll(() => server.close());
  const follow = (auth: Auth, options: ClientOptions = {}) =>
    FollowedClient.of(server, { transport, auth, ...options });
  const admin = () => server.api.login(ADMIN);

  it('gives typed events by name, prefix and all; a handler that throws harms no other', async () => {
    const user = await server.api.register();
    const followed = follow(user, { events: ['*'] });
    const { client, errors } = followed;
    const seen: string[] = [];
    client.on('login.failed', () => {
      throw new Error('a mistake of the app');
    });
    client.on('login.failed', ({ payload }) => seen.push(`failed ${payload.email}`));
    client.on('login.*', async ({ type }) => {
      seen.push(`prefix ${type}`);
      await Promise.reject(new Error('a later mistake'));
    });
    const off = client.on('*', ({ id }) => seen.push(`never ${id}`));
    off();
    await followed.live();
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await expect.poll(() => seen).toEqual([`failed ${user.email}`, 'prefix login.failed']);
    await expect.poll(() => errors.map(String)).toEqual(['Error: a mistake of the app', 'Error: a later mistake']);
  });

  it('misses and repeats nothing through restarts, also before its first event', async () => {
    const followed = await follow(await admin()).live();
    await server.app.close();
    await server.restartAfter((app) => publishFailures({ app }, 1, 3));
    await followed.failureOf('3@example.com');
    await publishFailures(server, 4, 5);
    await followed.failureOf('5@example.com');
    await server.app.close();
    await server.restartAfter((app) => publishFailures({ app }, 6, 400));
    await publishFailures(server, 401, 402);
    await followed.failureOf('402@example.com');
    expect(followed.failures).toEqual(numbers(1, 402));
    expect(followed.gaps.all).toEqual([]);
    expect(followed.errors).toEqual([]);
    expect(followed.states.all).toContainEqual(expect.objectContaining({ status: 'waiting', reason: 'shutdown' }));
  });

  it('changes its filters while connected', async () => {
    const user = await server.api.register();
    const { client, events } = await follow(user).live();
    client.subscribe('password.*', 'login.failed');
    await server.api.patch(
      '/users/me',
      { password: 'Another-horse-2', currentPassword: user.password },
      user.accessToken,
    );
    await events.next(({ type }) => type === 'password.changed');
    client.unsubscribe('login.failed');
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await server.api.patch(
      '/users/me',
      { password: 'Another-horse-3', currentPassword: 'Another-horse-2' },
      user.accessToken,
    );
    await events.next(({ type }) => type === 'password.changed');
    expect(events.all.map(({ type }) => type)).toEqual(['password.changed', 'password.changed']);
    expect(() => client.unsubscribe('password.*')).toThrow(RangeError);
  });

  it('stops at a filter that there is not', async () => {
    const followed = follow(await server.api.register());
    // @ts-expect-error -- the compiler refuses it first
    followed.client.subscribe('nope.*');
    followed.client.connect();
    const { reason, error } = await followed.next('stopped');
    expect([reason, error?.message]).toEqual(['policy', expect.stringContaining('"nope.*" is not an event')]);
  });

  it('begins anew where the service does not know its cursor, and says so', async () => {
    const lastEventId = 'evt-0199a1b2-0000-7000-8000-000000000001';
    const followed = await follow(await admin(), { lastEventId }).live();
    expect(followed.gaps.all).toEqual([{ reason: 'cursor', lastEventId }]);
    await publishFailures(server, 1, 1);
    await followed.failureOf('1@example.com');
    expect(followed.failures).toEqual(['1']);
  });

  it('tells of events that retention has removed', async () => {
    const tokens = await admin();
    await publishFailures(server, 1, 2);
    const { data } = (await server.api.get('/events?order=desc&limit=2', tokens.accessToken)).body;
    const [, first] = data.items as { id: string }[];
    const past = Date.now() - 100 * 86_400_000;
    await server.app.get(UnitOfWork).run(async (tx) => {
      const { seq } = await tx.findOneByOrFail(EventRow, { id: String(first?.id) });
      await tx.query('UPDATE events SET timestamp = ? WHERE seq <= ?', [new Date(past).toISOString(), seq]);
    });
    await server.app.get(Housekeeping).runAll();
    const time = past.toString(16).padStart(12, '0');
    const lastEventId = `evt-${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
    const followed = await follow(tokens, { lastEventId }).live();
    await followed.failureOf('2@example.com');
    expect(followed.failures).toEqual(['2']);
    expect(followed.gaps.all).toEqual([{ reason: 'retention', lastEventId: expect.any(String) }]);
  });

  it('goes on from what was kept', async () => {
    const tokens = await admin();
    let kept: string | undefined;
    const storage = { get: () => Promise.resolve(kept), set: (id: string) => (kept = id) };
    const before = await follow(tokens, { storage }).live();
    await publishFailures(server, 1, 1);
    await before.failureOf('1@example.com');
    before.client.close();
    await publishFailures(server, 2, 3);
    const after = await follow(tokens, { storage }).live();
    await after.failureOf('3@example.com');
    expect(after.failures).toEqual(['2', '3']);
  });
});
