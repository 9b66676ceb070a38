import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LessThanOrEqual } from 'typeorm';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventRow } from '../../src/events/event.entity.js';
import { Housekeeping } from '../../src/database/housekeeping.service.js';
import { ADMIN, TestServer } from '../support/server.js';

const DAY_MS = 86_400_000;

describe('the event log', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ EVENTS_RETENTION_DAYS: '7' });
  });
  afterAll(() => server.close());

  const idsOf = (body: { data: { items: { id: string }[] } }) => body.data.items.map(({ id }) => id);

  it('pages oldest first, with an exclusive cursor', async () => {
    const user = await server.api.register();
    for (let n = 0; n < 4; n += 1) await server.api.login(user);
    const whole = await server.api.get('/events', user.accessToken);
    expect(whole.body.data).toMatchObject({ hasMore: false, nextCursor: null, complete: true });
    const paged: string[] = [];
    let after = '';
    for (;;) {
      const { body } = await server.api.get(`/events?limit=2${after}`, user.accessToken);
      paged.push(...idsOf(body));
      if (!body.data.hasMore) break;
      expect(body.data.nextCursor).toBe(paged.at(-1));
      after = `&after=${String(body.data.nextCursor)}`;
    }
    expect(paged).toEqual(idsOf(whole.body));
    expect(paged).toHaveLength(5);
    const types = await server.api.get('/events?type=user.*,logout', user.accessToken);
    expect(idsOf(types.body)).toEqual(paged.slice(0, 1));
  });

  it('lists the newest first, and pages back with before', async () => {
    const user = await server.api.register();
    for (let n = 0; n < 4; n += 1) await server.api.login(user);
    const oldestFirst = idsOf((await server.api.get('/events', user.accessToken)).body);
    const paged: string[] = [];
    for (let before = ''; ;) {
      const { body } = await server.api.get(`/events?order=desc&limit=2${before}`, user.accessToken);
      paged.push(...idsOf(body));
      if (!body.data.hasMore) break;
      before = `&before=${String(body.data.nextCursor)}`;
    }
    expect(paged).toEqual(oldestFirst.toReversed());
    const between = `after=${oldestFirst[0]}&before=${oldestFirst[3]}`;
    expect(idsOf((await server.api.get(`/events?${between}`, user.accessToken)).body)).toEqual(oldestFirst.slice(1, 3));
  });

  it('shows by the one policy: an owner its own, an admin all, and 404 for what is not yours', async () => {
    const [user, stranger, admin] = [
      await server.api.register(),
      await server.api.register(),
      await server.api.login(ADMIN),
    ];
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    const own = await server.api.get('/events', user.accessToken);
    expect((own.body.data.items as { type: string }[]).map(({ type }) => type)).toEqual([
      'user.registered',
      'login.failed',
    ]);
    const [id] = idsOf(own.body);
    expect((await server.api.get(`/events/${id}`, user.accessToken)).status).toBe(200);
    expect((await server.api.get(`/events/${id}`, admin.accessToken)).status).toBe(200);
    const hidden = await server.api.get(`/events/${id}`, stranger.accessToken);
    const missing = await server.api.get('/events/evt-0199a1b2-0000-7000-8000-000000000001', stranger.accessToken);
    expect(hidden.status).toBe(404);
    expect(hidden.body.error).toStrictEqual(missing.body.error);
    const foreign = await server.api.get(`/events?after=${id}`, stranger.accessToken);
    expect(foreign.body.data.items).toMatchObject([{ type: 'user.registered', payload: { userId: stranger.id } }]);
  });

  it.each([
    'limit=0',
    'limit=201',
    'limit=x',
    'limit=1.5',
    'limit=',
    'type=nope',
    'type=',
    'after=nope',
    'after=',
    'before=nope',
    'order=newest',
    'after=evt-0199a1b2-0000-7000-8000-000000000001',
    'unknown=1',
    'limit=1&limit=2',
    'type[$ne]=x',
  ])('refuses ?%s with 422', async (query) => {
    const { accessToken } = await server.api.login(ADMIN);
    const { status, body } = await server.api.get(`/events?${query}`, accessToken);
    expect(status).toBe(422);
    expect(body.error).toMatchObject({ code: 'VALIDATION', details: [{ field: expect.any(String) }] });
  });

  it('keeps where an event came from beside it, and shows it to nobody', async () => {
    const requestId = 'trace-me-1';
    const user = await server.api.register();
    const answer = await server.api.call('POST', '/auth/login', {
      body: { email: user.email, password: user.password },
      headers: { 'X-Request-Id': requestId, 'User-Agent': 'test-agent' },
    });
    expect(answer.headers.get('x-request-id')).toBe(requestId);
    const row = await server.app
      .get(UnitOfWork)
      .run((tx) => tx.findOneByOrFail(EventRow, { requestId, type: 'login.success' }));
    expect(row).toMatchObject({ actorId: user.id, ip: '127.0.0.1', userAgent: 'test-agent' });
    expect(row.sessionId).toMatch(/^[0-9a-f-]{36}$/);
    const registered = await server.app
      .get(UnitOfWork)
      .run((tx) => tx.findOneByOrFail(EventRow, { subject: user.id, type: 'user.registered' }));
    expect([registered.actorId, registered.sessionId]).toEqual([user.id, expect.any(String)]);
    const shown = await server.api.get(`/events/${row.id}`, user.accessToken);
    expect(Object.keys(shown.body.data)).toEqual(['id', 'type', 'timestamp', 'payload']);
  });

  it('an event published in a unit that rolls back never was', async () => {
    const [bus, unitOfWork] = [server.app.get(EventBus), server.app.get(UnitOfWork)];
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    const failing = unitOfWork.run(async () => {
      await bus.publish('logout', { userId: user.id });
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    await bus.publish('mfa.enabled', { userId: user.id });
    await socket.nextEvent('mfa.enabled');
    expect(socket.events).toEqual(['mfa.enabled']);
  });

  it('a subscriber that throws is harmless, and the bus delivers after the commit, in order', async () => {
    const bus = server.app.get(EventBus);
    const user = await server.api.register();
    const seen: string[] = [];
    const offs = [
      bus.subscribeAll(() => {
        throw new Error('synchronous');
      }),
      bus.subscribe('mfa.enabled', () => Promise.reject(new Error('asynchronous'))),
    ];
    const done = new Promise<void>((resolve) => {
      offs.push(
        bus.subscribeAll(async ({ id, type }) => {
          seen.push(type);
          // Delivered means committed: whoever hears of an event finds it.
          expect((await server.api.get(`/events/${id}`, user.accessToken)).status).toBe(200);
          if (type === 'mfa.disabled') resolve();
        }),
      );
    });
    await bus.publish('mfa.enabled', { userId: user.id });
    await bus.publish('mfa.disabled', { userId: user.id });
    await done;
    expect(seen).toEqual(['mfa.enabled', 'mfa.disabled']);
    offs.forEach((off) => off());
    await bus.publish('mfa.enabled', { userId: user.id });
    expect(seen).toHaveLength(2);
  });

  it('retention removes whole days from the old end; a cursor older than that gets what is left, and the gap told', async () => {
    const user = await server.api.register();
    for (let n = 0; n < 2; n += 1) await server.api.login(user);
    const [registered, first, second] = idsOf((await server.api.get('/events', user.accessToken)).body);
    const unitOfWork = server.app.get(UnitOfWork);
    // Age everything up to and including the registration by ten days, its id as well.
    await unitOfWork.run(async (tx) => {
      const row = await tx.findOneByOrFail(EventRow, { id: String(registered) });
      const timestamp = new Date(Date.now() - 10 * DAY_MS).toISOString();
      await tx.update(EventRow, { seq: LessThanOrEqual(row.seq) }, { timestamp });
    });
    const aged = `evt-${(Date.now() - 10 * DAY_MS)
      .toString(16)
      .padStart(12, '0')
      .replace(/^(.{8})/, '$1-')}-7000-8000-000000000000`;
    expect((await server.api.get(`/events?after=${aged}`, user.accessToken)).status).toBe(422);
    await server.app.get(Housekeeping).runAll();

    expect((await server.api.get(`/events/${registered}`, user.accessToken)).status).toBe(404);
    const rest = await server.api.get(`/events?after=${aged}`, user.accessToken);
    expect(rest.body.data).toMatchObject({ complete: false, hasMore: false });
    expect(idsOf(rest.body)).toEqual([first, second]);

    const stream = await server.stream({ token: user.accessToken, headers: { 'Last-Event-ID': aged } });
    await stream.next();
    expect((await stream.next()).text).toBe(`event: stream.gap\ndata: {"lastEventId":"${aged}"}`);
    expect((await stream.next()).id).toBe(first);
    expect((await stream.next()).id).toBe(second);

    const socket = await server.webSocket();
    socket.send({ type: 'auth', token: user.accessToken }, { type: 'subscribe', events: ['*'], lastEventId: aged });
    expect(await socket.next(({ type }) => type === 'replayed')).toStrictEqual({
      type: 'replayed',
      count: 2,
      complete: false,
    });
  });
});
