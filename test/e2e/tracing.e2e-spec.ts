import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Api } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN } from '../support/server.js';
import { SseClient } from '../support/sse-client.js';

interface Span {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  status: { code: number };
  /** By key; of a value, its text. */
  attributes: Record<string, string>;
}

type Attributes = { key: string; value: Record<string, unknown> }[];
const plain = (attributes: Attributes) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]));

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';

/** The built server with a real collector: an HTTP server that takes OTLP. */
describe('traces', { timeout: 60_000 }, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let collector: Receiver;
  const servers: BuiltServer[] = [];
  beforeEach(async () => {
    folder = temporaryFolder();
    collector = await Receiver.start(() => 200);
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop('SIGKILL')));
    await collector.close();
    folder.remove();
  });

  async function start(more: Record<string, string> = {}): Promise<{ server: BuiltServer; api: Api }> {
    const server = await BuiltServer.start({
      DATABASE_URL: `sqlite:${join(folder.path, 'herald.sqlite')}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: new URL(collector.url).origin,
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      ...more,
    });
    servers.push(server);
    return { server, api: new Api(`${server.url}/api/v1`) };
  }

  function spans(): Span[] {
    return collector.received.flatMap(({ body }) =>
      JSON.parse(body).resourceSpans.flatMap(({ scopeSpans }: { scopeSpans: { spans: Span[] }[] }) =>
        scopeSpans.flatMap((scope) =>
          scope.spans.map((span) => ({ ...span, attributes: plain(span.attributes as unknown as Attributes) })),
        ),
      ),
    );
  }

  it('follow a registration from the caller through its unit of work and its event to its jobs and its mail', async () => {
    const { server, api } = await start({
      OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=a%20key%20for%20it-1',
      OTEL_SERVICE_NAME: 'accounts',
    });
    const body = { email: 'ada@example.com', password: 'Correct-horse-1' };
    const headers = { traceparent: `00-${TRACE}-${CALLER}-01`, 'X-Request-Id': 'find-me' };
    const { status } = await api.call('POST', '/auth/register', { body, headers });
    expect(status).toBe(201);
    await vi.waitFor(async () => expect(await (await fetch(`${server.url}/dev/mail`)).text()).toContain(body.email), {
      timeout: 10_000,
    });
    expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null });

    const trace = spans().filter(({ traceId }) => traceId === TRACE);
    const named = (name: string) => trace.find((span) => span.name === name);
    const request = named('POST /api/v1/auth/register');
    expect(request).toMatchObject({
      parentSpanId: CALLER,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/api/v1/auth/register',
        'http.response.status_code': '201',
        'herald.request_id': 'find-me',
      },
    });
    const publish = named('publish user.registered');
    expect(publish?.attributes['herald.event.id']).toMatch(/^evt-/);
    const parent = trace.find(({ spanId }) => spanId === publish?.parentSpanId);
    expect(parent).toMatchObject({ name: 'unit of work', parentSpanId: request?.spanId });
    const job = trace.find(
      ({ name, parentSpanId }) => name.startsWith('job reader.') && parentSpanId === publish?.spanId,
    );
    expect(job?.attributes).toMatchObject({
      'herald.event.id': publish?.attributes['herald.event.id'],
      'herald.job.attempt': '1',
    });
    const mail = named('send mail');
    expect(trace.find(({ spanId }) => spanId === mail?.parentSpanId)?.name).toBe('job mail.send');
    expect(mail?.attributes).toEqual({ 'herald.mail.template': 'verify-email' });

    const [first] = collector.received;
    expect(first).toMatchObject({ path: '/v1/traces', headers: { 'x-collector-key': 'a key for it-1' } });
    expect(plain(JSON.parse(first?.body ?? '').resourceSpans[0].resource.attributes)).toEqual({
      'service.name': 'accounts',
      'service.version': expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  it('show each attempt of a webhook, say that it failed, and hold no secret, address or probe', async () => {
    const receiver = await Receiver.start(({ before }) => (before === 0 ? 500 : 204));
    const { server, api } = await start({ WEBHOOK_RETRY_SCHEDULE: '0s,10ms' });
    const { accessToken: token } = await api.login(ADMIN);
    const url = `${receiver.url}/T0/hook-secret?key=hook-secret`;
    const { secret } = (await api.post('/webhooks', { url, events: ['login.failed'] }, token)).body.data;
    await api.post('/auth/login', { email: 'nobody@example.com', password: 'Wrong-password-1' });
    await receiver.next(({ before }) => before === 1);
    const stream = await SseClient.open(`${server.url}/api/v1/events/stream`, { query: { token } });
    await stream.next();
    await fetch(`${server.url}/readiness?token=${token}`);
    await api.get(`/nope?token=${token}`);
    await server.stop('SIGTERM');
    await receiver.close();

    const attempts = spans().filter(({ name }) => name === 'webhook attempt');
    expect(attempts).toMatchObject([
      { status: { code: 2 }, attributes: { 'http.response.status_code': '500', 'server.address': '127.0.0.1' } },
      { status: { code: 0 }, attributes: { 'http.response.status_code': '204', 'herald.webhook.attempt': '2' } },
    ]);
    // Both belong to the failed login.
    const login = spans().find(({ name }) => name === 'publish login.failed');
    expect(new Set(attempts.map(({ traceId }) => traceId))).toEqual(new Set([login?.traceId]));
    expect(receiver.received[0]?.headers).not.toHaveProperty('traceparent');
    const names = new Set(spans().map(({ name }) => name));
    expect(names).toContain('GET /api/v1/events/stream');
    expect(names).toContain('GET');
    expect(names).not.toContain('GET /readiness');
    const all = collector.received.map(({ body }) => body).join();
    for (const hidden of [token, secret, ADMIN.password, ADMIN.email, 'Wrong-password-1', 'nobody@', 'hook-secret']) {
      expect(all).not.toContain(hidden);
    }
  });

  it('follow the caller, who says that a trace is not kept', async () => {
    const { server, api } = await start();
    await api.call('GET', '/events', { headers: { traceparent: `00-${TRACE}-${CALLER}-00` } });
    await api.call('GET', '/events', { headers: { traceparent: 'nonsense' } });
    await server.stop('SIGTERM');
    const requests = spans().filter(({ name }) => name === 'GET /api/v1/events');
    expect(requests).toHaveLength(1);
    expect(requests[0]?.traceId).not.toBe(TRACE);
  });

  it('cost nothing but themselves when the collector is down', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    taken.close();
    const { server, api } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=a-key-for-it-1',
      SHUTDOWN_GRACE_MS: '5000',
    });
    const user = await api.register();
    expect((await api.get('/users/me', user.accessToken)).status).toBe(200);
    expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(server.output).not.toContain('a-key-for-it-1');
  });

  it('do not hold a shutdown up when the collector never answers', async () => {
    collector.answer = () => undefined;
    const { server, api } = await start({ SHUTDOWN_GRACE_MS: '5000' });
    await api.register();
    expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(collector.received.length).toBeGreaterThan(0);
  });
});
