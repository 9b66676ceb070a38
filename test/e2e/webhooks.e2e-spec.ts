import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { WebhookClient } from '../../src/webhooks/webhook-client.js';
import { WebhookEndpoint } from '../../src/webhooks/webhook-endpoint.entity.js';
import { WebhookEndpoints } from '../../src/webhooks/webhook-endpoints.service.js';
import type { Answer } from '../support/api.js';
import { Receiver, type Answerer, type ReceivedRequest } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

const ENVIRONMENT = {
  WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
  WEBHOOK_RETRY_SCHEDULE: '0s,20ms,40ms,60ms',
  WEBHOOK_TIMEOUT_MS: '300',
};

interface Endpoint {
  id: string;
  secret: string;
}

let server: TestServer;
let token: string;
const receivers: Receiver[] = [];
const endpoints: string[] = [];

async function start(environment: Record<string, string> = {}): Promise<void> {
  server = await TestServer.start({ ...ENVIRONMENT, ...environment });
  token = (await server.api.login(ADMIN)).accessToken;
}

async function receiver(answer?: Answerer): Promise<Receiver> {
  const made = await Receiver.start(answer);
  receivers.push(made);
  return made;
}

async function endpoint(url: string, events = ['login.failed'], more: object = {}): Promise<Endpoint> {
  const { status, body } = await server.api.post('/webhooks', { url, events, ...more }, token);
  expect(status, JSON.stringify(body)).toBe(201);
  endpoints.push(body.data.id as string);
  return body.data as Endpoint;
}

/** One failed login of an address nobody has: one event. */
async function failLogin(email = `${endpoints.length}-${Math.random()}@example.com`): Promise<string> {
  await server.api.post('/auth/login', { email, password: 'wrong' });
  const { body } = await server.api.get('/events?type=login.failed&limit=200', token);
  const event = body.data.items.findLast(({ payload }: { payload: { email: string } }) => payload.email === email);
  return event.id as string;
}

/** Everything that is due has been done. */
async function settled(): Promise<void> {
  await server.app.get(DurableReaders).caughtUp();
  await server.app.get(JobWorker).idle();
}

async function deliveriesOf(id: string, query = ''): Promise<Answer['body']['data']['items']> {
  return (await server.api.get(`/webhooks/${id}/deliveries${query}`, token)).body.data.items;
}

/** Waits until the newest delivery of an endpoint has ended. */
async function ended(id: string): Promise<Answer['body']> {
  for (;;) {
    await settled();
    const [delivery] = await deliveriesOf(id);
    if (delivery && delivery.status !== 'pending') return delivery;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Verifies a request with the public library and with plain code. */
function verify({ headers, body }: ReceivedRequest, secret: string, plainHeader = 'x-webhook-signature'): void {
  new Webhook(secret).verify(body, headers as Record<string, string>);
  expect(headers[plainHeader]).toBe(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`);
}

async function cleanUp(): Promise<void> {
  for (const id of endpoints.splice(0)) await server.api.delete(`/webhooks/${id}`, token);
  for (const one of receivers.splice(0)) await one.close();
}

describe('webhooks', () => {
  beforeAll(() => start());
  afterEach(cleanUp);
  afterAll(() => server.close());

  it('posts an event, signed both ways, byte for byte the envelope of every other channel', async () => {
    const target = await receiver();
    const { id, secret } = await endpoint(target.url);
    const eventId = await failLogin();
    const request = await target.next();
    const { body } = await server.api.get(`/events/${eventId}`, token);
    expect(request.body).toBe(JSON.stringify(body.data));
    expect(request.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': expect.stringContaining('Herald'),
      'x-webhook-id': id,
      'x-webhook-event': 'login.failed',
      'x-webhook-delivery': expect.any(String),
      'webhook-id': eventId,
    });
    verify(request, secret);
    expect(await ended(id)).toMatchObject({
      id: request.headers['x-webhook-delivery'],
      eventId,
      status: 'delivered',
      attempts: [{ number: 1, status: 204, response: '', error: null, durationMs: expect.any(Number) }],
    });
  });

  it('reaches four receivers with four troubles exactly as the contract says', async () => {
    const flaky = await receiver(({ before }) => (before < 2 ? 500 : 200));
    const hanging = await receiver(() => undefined);
    const gone = await receiver(() => 410);
    const busy = await receiver(({ before }, response) => {
      if (before > 0) return 200;
      response.writeHead(429, { 'Retry-After': '1' }).end('slow down');
      return undefined;
    });
    const made = {
      flaky: await endpoint(flaky.url),
      hanging: await endpoint(hanging.url),
      gone: await endpoint(gone.url),
      busy: await endpoint(busy.url),
    };
    const eventId = await failLogin();

    // 500 twice, then 200: three attempts on the schedule, one id.
    expect(await ended(made.flaky.id)).toMatchObject({ status: 'delivered' });
    expect(flaky.received.map(({ headers }) => headers['webhook-id'])).toEqual([eventId, eventId, eventId]);
    expect(flaky.received.map((request) => verify(request, made.flaky.secret))).toHaveLength(3);
    const [delivery] = await deliveriesOf(made.flaky.id);
    expect(delivery.attempts).toMatchObject([
      { number: 1, status: 500, error: 'The receiver answered 500' },
      { number: 2, status: 500 },
      { number: 3, status: 200, error: null },
    ]);

    // 410: one attempt, and the endpoint gets nothing any more.
    expect(await ended(made.gone.id)).toMatchObject({ status: 'dead', attempts: [{ status: 410 }] });
    const after = await server.api.get(`/webhooks/${made.gone.id}`, token);
    expect(after.body.data).toMatchObject({ status: 'disabled', disabledReason: expect.stringContaining('410') });

    // 429 with Retry-After: not before the second is over, although the schedule says 20 ms.
    expect(await ended(made.busy.id)).toMatchObject({
      status: 'delivered',
      attempts: [{ status: 429, response: 'slow down' }, { status: 200 }],
    });
    const [first, second] = busy.received;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(990);

    // A hanging one: each attempt ends by its timeout, the whole schedule is tried, then it is dead.
    const hung = await ended(made.hanging.id);
    expect(hung.status).toBe('dead');
    expect(hung.attempts.map(({ error }: { error: string }) => error)).toEqual(
      Array.from({ length: 4 }, () => 'No answer within 300 ms'),
    );
    expect(gone.received).toHaveLength(1);
  });

  it('lets no hanging endpoint delay another', async () => {
    const hanging = await receiver(() => undefined);
    const quick = await receiver();
    const slow = await endpoint(hanging.url);
    const { id } = await endpoint(quick.url);
    for (let n = 0; n < 40; n += 1) await failLogin();
    for (let n = 0; n < 40; n += 1) await quick.next();
    // Twenty requests hang, which is all that this endpoint may have at once, and the other has got everything.
    expect(hanging.peak).toBeLessThanOrEqual(20);
    expect(quick.received).toHaveLength(40);
    await server.api.delete(`/webhooks/${slow.id}`, token);
    await ended(id);
    expect((await deliveriesOf(id, '?status=delivered')).length).toBe(40);
  });

  it('signs with both secrets while they rotate, and with the new one alone afterwards', async () => {
    const target = await receiver();
    const own = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const { id, secret } = await endpoint(target.url, ['*'], { secret: own });
    expect(secret).toBe(own);
    const rotated = await server.api.post(`/webhooks/${id}/rotate-secret`, {}, token);
    expect(rotated.body.data.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    await failLogin();
    const during = await target.next();
    verify(during, rotated.body.data.secret as string);
    verify(during, own, 'x-webhook-signature-previous');

    // The overlap that was promised is kept, unless it is ended on purpose.
    expect((await server.api.post(`/webhooks/${id}/rotate-secret`, {}, token)).status).toBe(409);
    const again = await server.api.post(`/webhooks/${id}/rotate-secret`, { overlapHours: 0 }, token);
    await failLogin();
    const afterwards = await target.next();
    verify(afterwards, again.body.data.secret as string);
    expect(afterwards.headers).not.toHaveProperty('x-webhook-signature-previous');
    expect(() => verify(afterwards, rotated.body.data.secret as string)).toThrow(/No matching signature/);
    // No answer but the two above ever shows a secret.
    const shown = JSON.stringify((await server.api.get(`/webhooks/${id}`, token)).body);
    expect(shown).not.toContain('whsec_');
    expect(shown).not.toContain('v1.');
  });

  it('sends only what its filters let through, and nothing while it is disabled', async () => {
    const target = await receiver();
    const { id } = await endpoint(target.url, ['user.*', 'logout']);
    const user = await server.api.register();
    await failLogin();
    await settled();
    expect(target.received.map(({ headers }) => headers['x-webhook-event'])).toEqual(['user.registered']);
    const off = await server.api.patch(`/webhooks/${id}`, { enabled: false }, token);
    expect(off.body.data).toMatchObject({ status: 'disabled', disabledReason: 'Disabled by an admin' });
    await server.api.delete('/users/me', user.accessToken);
    await settled();
    const on = await server.api.patch(`/webhooks/${id}`, { enabled: true, events: ['login.failed'] }, token);
    expect(on.body.data).toMatchObject({ status: 'enabled', disabledReason: null, events: ['login.failed'] });
    await failLogin();
    await target.next(({ headers }) => headers['x-webhook-event'] === 'login.failed');
    expect(target.received).toHaveLength(2);
  });

  it('sends a test event, and says in the delivery log how that went', async () => {
    const target = await receiver((_, response) => void response.writeHead(503).end('x'.repeat(5000)));
    const { id, secret } = await endpoint(target.url);
    const { status, body } = await server.api.post(`/webhooks/${id}/test`, undefined, token);
    expect([status, body.data.eventType]).toEqual([202, 'webhook.test']);
    const request = await target.next();
    verify(request, secret);
    expect(JSON.parse(request.body)).toMatchObject({ type: 'webhook.test', payload: { endpointId: id } });
    const delivery = await ended(id);
    // Tried once, and no more of the answer kept than its first KB.
    expect(delivery).toMatchObject({ id: body.data.id, status: 'dead', attempts: [{ status: 503 }] });
    expect(delivery.attempts[0].response).toBe('x'.repeat(1024));
  });

  it('redelivers a dead delivery under the same webhook-id', async () => {
    const target = await receiver(({ before }) => (before < 4 ? 500 : 200));
    const { id } = await endpoint(target.url);
    const eventId = await failLogin();
    const dead = await ended(id);
    expect(dead).toMatchObject({ status: 'dead', attempts: [{}, {}, {}, {}] });
    const redelivered = await server.api.post(`/webhooks/deliveries/${dead.id}/redeliver`, undefined, token);
    expect([redelivered.status, redelivered.body.data.status]).toEqual([202, 'pending']);
    const delivered = await ended(id);
    expect(delivered).toMatchObject({ id: dead.id, status: 'delivered' });
    expect(delivered.attempts.map(({ number }: { number: number }) => number)).toEqual([1, 2, 3, 4, 5]);
    expect(new Set(target.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([eventId]));
  });

  it('replays what an endpoint missed since a cursor', async () => {
    const target = await receiver();
    const { id } = await endpoint(target.url);
    const missed: string[] = [];
    await server.api.patch(`/webhooks/${id}`, { enabled: false }, token);
    const before = await failLogin();
    for (let n = 0; n < 5; n += 1) missed.push(await failLogin());
    await server.api.register();
    expect((await server.api.post(`/webhooks/${id}/replay`, { after: before }, token)).status).toBe(409);
    await server.api.patch(`/webhooks/${id}`, { enabled: true }, token);
    const replay = await server.api.post(`/webhooks/${id}/replay`, { after: before }, token);
    expect([replay.status, replay.body.data]).toEqual([202, { complete: true }]);
    for (const _ of missed) await target.next();
    await settled();
    expect(new Set(target.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set(missed));
    expect(target.received).toHaveLength(missed.length);
    const nonsense = await server.api.post(`/webhooks/${id}/replay`, { after: 'evt-never' }, token);
    expect([nonsense.status, nonsense.body.error.details[0].field]).toEqual([422, 'after']);
  });

  it('disables an endpoint that has failed for five days, and forgets the failures after a success', async () => {
    const target = await receiver(() => 500);
    const { id } = await endpoint(target.url);
    const failingSince = (ms: number) =>
      server.app.get(UnitOfWork).run((tx) => tx.update(WebhookEndpoint, { id }, { failingSince: Date.now() - ms }));
    const DAY_MS = 86_400_000;
    await failLogin();
    await target.next();
    await settled();
    expect((await server.api.get(`/webhooks/${id}`, token)).body.data.failingSince).toEqual(expect.any(Number));
    await failingSince(5 * DAY_MS - 60_000);
    await failLogin();
    await target.next(({ before }) => before >= 4);
    await settled();
    expect((await server.api.get(`/webhooks/${id}`, token)).body.data.status).toBe('enabled');
    target.answer = () => 200;
    await failLogin();
    await ended(id);
    await settled();
    expect((await server.api.get(`/webhooks/${id}`, token)).body.data.failingSince).toBeNull();
    target.answer = () => 500;
    await failingSince(5 * DAY_MS);
    await failLogin();
    await ended(id);
    expect((await server.api.get(`/webhooks/${id}`, token)).body.data).toMatchObject({
      status: 'disabled',
      disabledReason: 'Every attempt of the last five days failed',
    });
  });

  it('goes on with the schedule when an attempt’s job is discarded or dies', async () => {
    const target = await receiver(() => 500);
    const { id } = await endpoint(target.url);
    const queue = server.app.get(JobQueue);
    // The pauses are long enough for the job of the second attempt to be seen waiting.
    target.answer = (_, response) => void response.writeHead(503, { 'Retry-After': '60' }).end();
    await failLogin();
    await target.next();
    await settled();
    const waiting = await queue.list({ type: 'webhook.attempt', state: 'pending', limit: 1 });
    target.answer = () => 200;
    await server.api.delete(`/jobs/${waiting[0]?.id}`, token);
    expect(await ended(id)).toMatchObject({
      status: 'delivered',
      attempts: [{ status: 503 }, { status: null, error: 'Discarded by an admin' }, { status: 200 }],
    });
  });

  it('is not charged for what is this host’s own fault', async () => {
    const target = await receiver();
    const { id } = await endpoint(target.url);
    const noNameServer = { outcome: 'host', status: null, response: null, error: 'getaddrinfo EAI_AGAIN' } as const;
    const result = { ...noNameServer, at: Date.now(), durationMs: 1, retryAfterMs: null };
    const send = vi.spyOn(server.app.get(WebhookClient), 'send').mockResolvedValueOnce(result);
    await failLogin();
    await settled();
    expect(send).toHaveBeenCalledOnce();
    send.mockRestore();
    const [delivery] = await deliveriesOf(id);
    expect(delivery).toMatchObject({ status: 'pending', attempts: [{ error: 'getaddrinfo EAI_AGAIN' }] });
    expect((await server.api.get(`/webhooks/${id}`, token)).body.data.failingSince).toBeNull();
  });

  it('takes a page of events for many endpoints, more rows than one statement can hold', async () => {
    const result = { outcome: 'delivered', at: 1, durationMs: 1, status: 200, response: null, error: null } as const;
    const send = vi.spyOn(server.app.get(WebhookClient), 'send').mockResolvedValue({ ...result, retryAfterMs: null });
    const url = 'http://127.0.0.1:9/';
    const made = Array.from({ length: 30 }, () => endpoint(url, ['account.unlocked']));
    await Promise.all(made);
    const bus = server.app.get(EventBus);
    // In one transaction, so that the reader finds them as one page: 6,000 deliveries.
    await server.app.get(UnitOfWork).run(async () => {
      for (let n = 0; n < 200; n += 1) await bus.publish('account.unlocked', { email: 'x@example.com' });
    });
    await server.app.get(DurableReaders).caughtUp();
    await expect.poll(() => send.mock.calls.length, { timeout: 15_000 }).toBe(6000);
    await settled();
    send.mockRestore();
  });

  it('makes no delivery for an endpoint that was disabled while the page was read', async () => {
    const target = await receiver();
    const { id } = await endpoint(target.url);
    const units = server.app.get(UnitOfWork);
    const service = server.app.get(WebhookEndpoints);
    const enabled = vi.spyOn(service, 'enabled').mockImplementationOnce(async () => {
      const before = [await service.get(id)];
      await units.run((tx) => service.disable(tx, id, 'meanwhile'));
      return before;
    });
    await failLogin();
    await settled();
    expect(enabled).toHaveBeenCalled();
    enabled.mockRestore();
    expect(await deliveriesOf(id)).toEqual([]);
    expect(target.received).toEqual([]);
  });

  it('takes no late answer of an old address for the new one’s', async () => {
    const answers: (() => void)[] = [];
    const old = await receiver((_, response) => void answers.push(() => response.writeHead(204).end()));
    const fresh = await receiver(({ before }) => (before === 0 ? 500 : 200));
    const { id } = await endpoint(old.url);
    await failLogin();
    await old.next();
    await server.api.patch(`/webhooks/${id}`, { enabled: false }, token);
    await server.api.patch(`/webhooks/${id}`, { enabled: true, url: fresh.url }, token);
    const [delivery] = await deliveriesOf(id);
    await server.api.post(`/webhooks/deliveries/${delivery.id}/redeliver`, undefined, token);
    answers[0]?.();
    await fresh.next(({ before }) => before === 1);
    const delivered = await ended(id);
    expect(delivered.attempts.map(({ status }: { status: number }) => status)).toEqual([500, 200]);
  });

  it('does not disable an endpoint for what its old address answers', async () => {
    const answers: (() => void)[] = [];
    const old = await receiver((_, response) => void answers.push(() => response.writeHead(410).end()));
    const fresh = await receiver();
    const { id } = await endpoint(old.url);
    await failLogin();
    await old.next();
    await server.api.patch(`/webhooks/${id}`, { url: fresh.url }, token);
    answers[0]?.();
    expect(await ended(id)).toMatchObject({ status: 'dead', attempts: [{ status: 410 }] });
    expect((await server.api.get(`/webhooks/${id}`, token)).body.data.status).toBe('enabled');
  });

  it('refuses what it could not send, in the contract’s shape', async () => {
    const target = await receiver();
    const post = (body: object) =>
      server.api.post('/webhooks', { url: target.url, events: ['logout'], ...body }, token);
    const fields: [object, string][] = [
      [{ url: 'ftp://example.com' }, 'url'],
      [{ url: 'not a url' }, 'url'],
      [{ url: 'https://user:pass@example.com/' }, 'url'],
      [{ url: 'http://10.0.0.1/' }, 'url'],
      [{ url: 'http://[::1]:9/' }, 'url'],
      [{ url: 'http://0xa.1/' }, 'url'],
      [{ url: 'http://169.254.169.254/latest/meta-data' }, 'url'],
      [{ events: [] }, 'events'],
      [{ events: ['login.exploded'] }, 'events'],
      [{ events: ['logout', 'nope.*'] }, 'events'],
      [{ secret: 'short' }, 'secret'],
      [{ secret: `whsec_${Buffer.alloc(8).toString('base64')}` }, 'secret'],
      [{ description: 'x'.repeat(501) }, 'description'],
    ];
    for (const [body, field] of fields) {
      const { status, body: answer } = await post(body);
      expect([status, answer.error.details?.[0]?.field], JSON.stringify(body)).toEqual([422, field]);
    }
    expect((await post({ surprise: 1 })).status).toBe(422);
    for (const path of ['', '/x', '/x/deliveries']) {
      const user = await server.api.register();
      expect((await server.api.get(`/webhooks${path}`, user.accessToken)).status).toBe(403);
      expect((await server.api.get(`/webhooks${path}`)).status).toBe(401);
    }
    expect((await server.api.get('/webhooks/x', token)).status).toBe(404);
    expect((await server.api.get('/webhooks/x/deliveries', token)).status).toBe(404);
    expect((await server.api.delete('/webhooks/x', token)).status).toBe(404);
    expect((await server.api.post('/webhooks/x/test', {}, token)).status).toBe(404);
    expect((await server.api.post('/webhooks/deliveries/x/redeliver', {}, token)).status).toBe(404);
    expect((await server.api.patch('/webhooks/x', { enabled: true }, token)).status).toBe(404);
    const { id } = await endpoint(target.url);
    expect((await server.api.patch(`/webhooks/${id}`, { url: 'http://192.168.1.1/' }, token)).status).toBe(422);
    expect((await server.api.post(`/webhooks/${id}/rotate-secret`, { overlapHours: 1000 }, token)).status).toBe(422);
  });

  it('lists endpoints in pages, the newest first', async () => {
    const target = await receiver();
    const ids = [await endpoint(target.url), await endpoint(target.url), await endpoint(target.url)].map(
      ({ id }) => id,
    );
    const first = (await server.api.get('/webhooks?limit=2', token)).body.data;
    const second = (await server.api.get(`/webhooks?limit=2&after=${first.nextCursor}`, token)).body.data;
    const listed = [...first.items, ...second.items].map(({ id }: { id: string }) => id);
    expect(listed).toEqual(ids.toReversed());
    expect([first.hasMore, second.hasMore]).toEqual([true, false]);
  });
});

describe('webhooks with jobs in memory', () => {
  beforeAll(() => start({ JOBS_STORE: 'memory', SHUTDOWN_GRACE_MS: '400', WEBHOOK_RETRY_SCHEDULE: '0s,1h,20ms' }));
  afterEach(cleanUp);
  afterAll(() => server.close());

  it('go on after a discarded attempt, and after a restart that forgot their jobs', async () => {
    const target = await receiver(({ before }) => (before === 0 ? 500 : 200));
    const { id } = await endpoint(target.url);
    await failLogin();
    await target.next();
    await expect.poll(async () => (await server.app.get(JobQueue).stats()).pending).toBe(1);
    const [waiting] = await server.app.get(JobQueue).list({ type: 'webhook.attempt', state: 'pending', limit: 1 });
    expect((await server.api.delete(`/jobs/${waiting?.id}`, token)).status).toBe(204);
    await target.next();
    expect(await ended(id)).toMatchObject({ attempts: [{ status: 500 }, { error: 'Discarded by an admin' }, {}] });

    target.answer = ({ headers }) => (headers['x-webhook-event'] === 'login.failed' ? 503 : 200);
    await failLogin();
    await target.next();
    await expect.poll(async () => (await server.app.get(JobQueue).stats()).pending).toBe(1);
    target.answer = () => 200;
    await server.restart();
    token = (await server.api.login(ADMIN)).accessToken;
    await expect.poll(async () => (await server.app.get(JobQueue).stats()).pending).toBe(1);
    expect((await deliveriesOf(id))[0]).toMatchObject({ status: 'pending', attempts: [{ status: 503 }] });
  });
});

describe('webhooks across a restart', () => {
  beforeAll(() => start({ WEBHOOK_TIMEOUT_MS: '10000', SHUTDOWN_GRACE_MS: '400' }));
  afterEach(cleanUp);
  afterAll(() => server.close());

  it('delivers what was committed while nobody could send, once, under the same id', async () => {
    const target = await receiver(() => undefined);
    const { id, secret } = await endpoint(target.url);
    const eventId = await failLogin();
    await target.next();
    // The request hangs while the server goes down: the attempt is given back.
    target.answer = () => 200;
    await server.restart();
    token = (await server.api.login(ADMIN)).accessToken;
    const request = await target.next();
    verify(request, secret);
    expect(request.headers['webhook-id']).toBe(eventId);
    expect(await ended(id)).toMatchObject({ status: 'delivered', attempts: [{ number: 1, status: 200 }] });
  });
});
