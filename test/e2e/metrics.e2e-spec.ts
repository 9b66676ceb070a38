import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Injectable, Module } from '@nestjs/common';
import { Housekeeping } from '../../src/database/housekeeping.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import type { DomainEvent } from '../../src/events/domain-event.js';
import { EventRow } from '../../src/events/event.entity.js';
import { Reconciliation } from '../../src/events/reconciliation.service.js';
import { DurableReader } from '../../src/jobs/durable-reader.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { JobRow } from '../../src/jobs/job.entity.js';
import { changeJob, takeRow } from '../support/jobs.js';
import { ADMIN, TestServer } from '../support/server.js';

/** Reads `name{labels} value` lines. */
async function scrape(url: string, headers: Record<string, string> = {}): Promise<Map<string, number>> {
  const response = await fetch(`${url}/metrics`, { headers });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, expect.stringMatching(/^text\/plain/)]);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

describe('GET /metrics', () => {
  it('shows requests by route, jobs by state, connections, and how far each reader is behind', async () => {
    const server = await TestServer.start();
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    await server.api.get('/events/evt-nothing', user.accessToken);
    const metrics = await scrape(server.url);
    const requests = (route: string, method: string, status: number) =>
      metrics.get(`herald_http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`);
    expect(requests('/api/v1/auth/register', 'POST', 201)).toBe(1);
    expect(requests('/api/v1/events/:id', 'GET', 404)).toBe(1);
    const live = (name: string) => metrics.get(`herald_realtime_${name}`);
    expect(live('connections{transport="websocket",age="under 1m"}')).toBe(1);
    expect(live('connections{transport="sse",age="older"}')).toBe(0);
    expect(live('waiting_bytes')).toBe(0);
    expect(metrics.get('herald_jobs{state="dead"}')).toBe(0);
    expect(metrics.has('herald_reader_lag_events{reader="webhooks"}')).toBe(true);
    expect(metrics.has('process_cpu_seconds_total')).toBe(true);
    expect([...metrics.keys()].join()).not.toContain('evt-nothing');
    socket.close();
    await server.close();
  });

  it('shows what the live side did: deliveries, writes, latency, closes, replays, and who was kept out', async () => {
    const server = await TestServer.start({ REALTIME_MAX_CONNECTIONS_PER_USER: '2' });
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    await server.api.post('/auth/login', { email: user.email, password: user.password });
    const { event } = await socket.nextEvent('login.success');
    const lastEventId = (event as { id: string }).id;
    const stream = await server.stream({ token: user.accessToken, query: { lastEventId } });
    await stream.next();
    await server.api.post('/auth/login', { email: user.email, password: user.password });
    await stream.nextEvent('login.success');
    expect((await server.stream({ token: user.accessToken })).response.status).toBe(429);
    socket.socket.close(1000);
    await socket.closed;
    stream.close();
    const live = (name: string) => async () => (await scrape(server.url)).get(`herald_realtime_${name}`);
    await expect.poll(live('closes_total{transport="websocket",code="1000"}')).toBe(1);
    await expect.poll(live('closes_total{transport="sse",code="left"}')).toBe(1);
    expect(await live('deliveries_total{transport="websocket"}')()).toBe(2);
    expect(await live('deliveries_total{transport="sse"}')()).toBe(1);
    expect(await live('writes_total{transport="websocket"}')()).toBe(2);
    expect(await live('commit_to_socket_seconds_count')()).toBe(2);
    expect(await live('replays_total{outcome="complete"}')()).toBe(1);
    expect(await live('refusals_total{limit="account"}')()).toBe(1);
    await server.close();
  });

  it('can be bound to a token', async () => {
    const METRICS_TOKEN = 'a-token-for-prometheus';
    const server = await TestServer.start({ METRICS_TOKEN });
    for (const authorization of ['', 'Bearer nonsense', METRICS_TOKEN]) {
      const { status } = await fetch(`${server.url}/metrics`, { headers: { authorization } });
      expect([authorization, status]).toEqual([authorization, 401]);
    }
    await scrape(server.url, { authorization: `Bearer ${METRICS_TOKEN}` });
    await server.close();
  });
});

@Injectable()
class Crm {
  @DurableReader({ name: 'crm', events: ['login.failed'] })
  onFailure(_event: DomainEvent<'login.failed'>): void {}
}

@Module({ providers: [Crm] })
class CrmModule {}

/** Every other test ends with counts of 0, which `TestServer.close()` asks for; here something is missing on purpose. */
describe('the reconciliation', () => {
  let server: TestServer;
  let admin: string;
  beforeAll(async () => {
    server = await TestServer.start({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', WEBHOOK_RETRY_SCHEDULE: '0s,1h' }, [
      CrmModule,
    ]);
    admin = (await server.api.login(ADMIN)).accessToken;
    await server.api.post('/webhooks', { url: 'http://127.0.0.1:1/', events: ['login.failed'] }, admin);
    for (let n = 0; n < 3; n += 1) await server.api.post('/auth/login', { email: `${n}@example.com`, password: 'x' });
    await server.app.get(DurableReaders).caughtUp();
    await server.app.get(JobWorker).idle();
  });
  afterAll(() => server.close());

  const counts = async () => (await server.app.get(Reconciliation).run()).counts;
  const CLEAN = { events_without_jobs: 0, jobs_without_events: 0, deliveries_without_outcome: 0 };
  const jobOf = async (type: string) => {
    const [job] = await server.app.get(JobQueue).list({ type, limit: 1 });
    return job as JobRow;
  };
  /** Takes rows away, looks, and puts them back. */
  async function without(row: JobRow | EventRow, look: () => Promise<void>): Promise<void> {
    const putBack = await takeRow(server.app, row instanceof EventRow ? EventRow : JobRow, row.id);
    await look().finally(putBack);
  }

  it('counts an event whose durable reader left no job', async () => {
    expect(await counts()).toEqual(CLEAN);
    await without(await jobOf('reader.crm'), async () =>
      expect(await counts()).toEqual({ ...CLEAN, events_without_jobs: 1 }),
    );
  });

  it('looks at every page, from where the record of jobs begins', async () => {
    await server.app.get(UnitOfWork).run(async () => {
      for (let n = 0; n < 1200; n += 1)
        await server.app.get(EventBus).publish('login.failed', { email: `${n}@example.com` });
    });
    await server.app.get(DurableReaders).caughtUp();
    await server.app.get(JobWorker).idle();
    expect(await counts()).toEqual(CLEAN);
    const newest = await jobOf('reader.crm');
    await without(newest, async () => {
      expect(await counts()).toEqual({ ...CLEAN, events_without_jobs: 1 });
      const reader = server.app.get(DurableReaders).withJobs.find(({ type }) => type === 'reader.crm')?.reader;
      const { since = 0, position = 0 } = reader ?? {};
      await reader?.setSince(position);
      expect(await counts()).toEqual(CLEAN);
      await reader?.setSince(since);
    });
  });

  it('says nothing of what was read while jobs were kept in memory, or after their retention', async () => {
    const other = await TestServer.start({ JOBS_STORE: 'memory' }, [CrmModule]);
    await other.api.post('/auth/login', { email: 'x@example.com', password: 'x' });
    await other.app.get(DurableReaders).caughtUp();
    await other.restart({ JOBS_STORE: 'database', JOBS_RETENTION_DAYS: '1' });
    await other.api.post('/auth/login', { email: 'y@example.com', password: 'x' });
    await other.app.get(DurableReaders).caughtUp();
    await other.app.get(JobWorker).idle();
    const wrong = async () => (await other.app.get(Reconciliation).run()).counts['events_without_jobs'];
    expect(await wrong()).toBe(0);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3 * 86_400_000 });
    try {
      await other.app.get(Housekeeping).runAll();
    } finally {
      vi.useRealTimers();
    }
    await other.restart({ JOBS_RETENTION_DAYS: '7' });
    expect(await wrong()).toBe(0);
    await other.close();
  });

  it('counts a job without its event', async () => {
    const { eventId } = await jobOf('reader.crm');
    const row = await server.app.get(UnitOfWork).run((tx) => tx.findOneByOrFail(EventRow, { id: String(eventId) }));
    // Too young to tell from what retention removed, unless the oldest event is a while older.
    const aged = new Date(Date.now() - 600_000).toISOString();
    const first = await server.app
      .get(UnitOfWork)
      .run((tx) => tx.query<{ timestamp: string }[]>('SELECT timestamp FROM events WHERE seq = 1'));
    const setFirst = (timestamp = '') =>
      server.app.get(UnitOfWork).run((tx) => tx.update(EventRow, { seq: 1 }, { timestamp }));
    await setFirst(aged);
    await without(row, async () => expect(await counts()).toEqual({ ...CLEAN, jobs_without_events: 1 }));
    await setFirst(first[0]?.timestamp);
  });

  it('counts a delivery for which no attempt will ever be made, on the metric and the probe too', async () => {
    const waiting = await server.app.get(JobQueue).list({ type: 'webhook.attempt', state: 'pending', limit: 9 });
    await without(waiting[0] as JobRow, async () => {
      expect(await counts()).toEqual({ ...CLEAN, deliveries_without_outcome: 1 });
      const metrics = await scrape(server.url);
      expect(metrics.get('herald_reconcile_mismatches{check="deliveries_without_outcome"}')).toBe(1);
      const probe = (await (await fetch(`${server.url}/readiness`)).json()) as { data: object };
      expect(probe.data).toMatchObject({
        status: 'ready',
        reconciliation: { checkedAt: expect.any(Number), counts: { deliveries_without_outcome: 1 } },
      });
    });
  });

  it('forgives what an admin has discarded', async () => {
    const job = await jobOf('reader.crm');
    await changeJob(server.app, job.id, { state: 'dead' });
    expect((await server.api.delete(`/jobs/${job.id}`, admin)).status).toBe(204);
    expect(await counts()).toEqual(CLEAN);
  });
});
