import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataSource } from 'typeorm';
import { EventBus } from '../../src/events/event-bus.js';
import { EVENTS_BY_TYPE } from '../../src/events/event-counts.service.js';
import { ATTEMPTS_BY_OUTCOME } from '../../src/webhooks/attempt-counts.service.js';
import { EventRelay } from '../../src/events/event-relay.service.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { onPostgres } from '../support/database.js';
import { deadJob } from '../support/jobs.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

let server: TestServer;
let receiver: Receiver;
let token: string;

const data = async (path: string) => {
  const { status, body } = await server.api.get(path, token);
  expect(status, JSON.stringify(body)).toBe(200);
  return body.data;
};
const settled = async () => {
  await server.app.get(EventRelay).caughtUp();
  await server.app.get(DurableReaders).caughtUp();
  await server.app.get(JobWorker).idle();
};
const sum = (minutes: { counts: Record<string, number> }[], kind: string) =>
  minutes.reduce((total, { counts }) => total + (counts[kind] ?? 0), 0);

describe('the overview for admins', () => {
  beforeAll(async () => {
    receiver = await Receiver.start();
    server = await TestServer.start({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', WEBHOOK_RETRY_SCHEDULE: '0s,1h' });
    token = (await server.api.login(ADMIN)).accessToken;
  });
  afterAll(async () => {
    await server.close();
    await receiver.close();
  });

  it('counts what needs attention', async () => {
    await deadJob(server);
    const email = 'locked@example.com';
    for (let n = 0; n < 5; n += 1) await server.api.post('/auth/login', { email, password: 'wrong' });
    receiver.answer = () => 500;
    const endpoint = { url: receiver.url, events: ['user.registered'] };
    const { id } = (await server.api.post('/webhooks', endpoint, token)).body.data;
    await server.api.register();
    await settled();
    const overview = await data('/admin/overview');
    expect(overview).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      jobs: { dead: 1 },
      deadJobs: [{ type: 'auth.forgot-password', count: 1 }],
      endpoints: { total: 1, inTrouble: [{ id, disabledAt: null, failingSince: expect.any(Number) }] },
      locks: { count: 1, first: [{ subject: email, until: expect.any(Number) }] },
    });
    expect(overview.locks.first[0].until).toBeGreaterThan(Date.now());
  });

  it('names a disabled endpoint with its reason, and no secret', async () => {
    const { items } = await data('/webhooks');
    await server.api.patch(`/webhooks/${items[0].id}`, { enabled: false }, token);
    const { endpoints } = await data('/admin/overview');
    expect(endpoints.inTrouble[0]).toEqual({
      id: items[0].id,
      host: new URL(receiver.url).host,
      disabledAt: expect.any(Number),
      disabledReason: 'Disabled by an admin',
      failingSince: expect.any(Number),
    });
  });

  it('counts events and webhook requests by the minute', async () => {
    const before = await data('/admin/overview');
    receiver.answer = () => 204;
    await server.api.post('/webhooks', { url: receiver.url, events: ['mfa.enabled'] }, token);
    const bus = server.app.get(EventBus);
    for (let n = 0; n < 3; n += 1) await bus.publish('mfa.enabled', { userId: crypto.randomUUID() });
    await settled();
    const after = await data('/admin/overview');
    expect(after.eventsPerMinute).toHaveLength(60);
    expect(after.eventsPerMinute.at(-1).at).toBe(Math.floor(after.now / 60_000) * 60_000);
    expect(sum(after.eventsPerMinute, 'mfa.enabled') - sum(before.eventsPerMinute, 'mfa.enabled')).toBe(3);
    expect(sum(after.attemptsPerMinute, 'delivered') - sum(before.attemptsPerMinute, 'delivered')).toBe(3);
    expect(sum(after.attemptsPerMinute, 'failed')).toBe(1);
    // Acts are no events.
    expect(sum(after.eventsPerMinute, 'webhook.created')).toBe(0);
  });

  it('tells connections, how fast they get their events, and who is behind', async () => {
    const client = await server.subscriber(token);
    await server.app.get(EventBus).publish('login.failed', { email: 'fast@example.com' });
    await client.next((message) => JSON.stringify(message).includes('fast@example.com'));
    await settled();
    const { connections, latency, readerLag } = await data('/admin/overview');
    expect(connections).toEqual({ websocket: 1, sse: 0 });
    expect(latency.at(-1)).toEqual({ leMs: null, count: expect.any(Number) });
    expect(latency.at(-1).count).toBeGreaterThan(0);
    for (const [at, { count }] of latency.entries()) expect(count).toBeGreaterThanOrEqual(latency[at - 1]?.count ?? 0);
    expect(readerLag).toMatchObject({ live: 0, webhooks: 0 });
  });

  // PostgreSQL chooses by its statistics, and a table of a test is too small for any index.
  it.skipIf(onPostgres)('(of SQLite) looks at the last hour by an index, row by row', async () => {
    const reader = server.app.get(DataSource);
    const plan = async (sql: string): Promise<string> => {
      const steps = await reader.query<{ detail: string }[]>(`EXPLAIN QUERY PLAN ${sql.replaceAll('?', '1')}`);
      return steps.map(({ detail }) => detail).join('\n');
    };
    expect(await plan(EVENTS_BY_TYPE)).toMatch(/SEARCH events USING INDEX \S+ \(id>\? AND id<\?\)/);
    expect(await plan(ATTEMPTS_BY_OUTCOME)).toMatch(
      /SEARCH webhook_attempts USING COVERING INDEX webhook_attempts_by_time \(at>\? AND at<\?\)/,
    );
    expect(await plan(`SELECT * FROM lockouts WHERE lockedUntil > 1`)).toContain('lockouts_by_end');
  });
});

describe('what the console asks for beside', () => {
  beforeAll(async () => {
    receiver = await Receiver.start();
    server = await TestServer.start({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' });
    token = (await server.api.login(ADMIN)).accessToken;
  });
  afterAll(async () => {
    await server.close();
    await receiver.close();
  });

  it('GET /jobs/types counts the jobs of every type, also where there are none', async () => {
    await deadJob(server);
    const { types } = await data('/jobs/types');
    const of = (type: string) => types.find((one: { type: string }) => one.type === type);
    const none = { pending: 0, processing: 0, completed: 0, failed: 0, dead: 0 };
    expect(of('auth.forgot-password')).toEqual({ ...none, type: 'auth.forgot-password', dead: 1 });
    expect(of('webhook.replay')).toEqual({ ...none, type: 'webhook.replay' });
  });

  it('GET /events/types tells every type, with what it means', async () => {
    const { types } = await data('/events/types');
    expect(types).toHaveLength(15);
    expect(types).toContainEqual({ type: 'account.unlocked', description: expect.stringContaining('lock') });
  });

  it('GET /webhooks/deliveries/:id/details tells what was sent, and each answer', async () => {
    receiver.answer = (_, response) => void response.writeHead(200).end('thank you');
    const { id } = (await server.api.post('/webhooks', { url: receiver.url, events: ['*'] }, token)).body.data;
    const sent = (await server.api.post(`/webhooks/${id}/test`, {}, token)).body.data;
    const { body } = await receiver.next();
    await settled();
    const delivery = await data(`/webhooks/deliveries/${sent.id}/details`);
    expect(delivery).toMatchObject({ id: sent.id, status: 'delivered', body });
    expect(delivery.attempts).toMatchObject([{ number: 1, status: 200, response: 'thank you' }]);
    expect((await server.api.get('/webhooks/deliveries/none/details', token)).status).toBe(404);
  });
});
