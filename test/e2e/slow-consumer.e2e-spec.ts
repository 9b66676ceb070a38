import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DomainEvent } from '../../src/events/domain-event.js';
import { EventBus } from '../../src/events/event-bus.js';
import { RealtimeHub } from '../../src/realtime/realtime-hub.service.js';
import type { TestUser } from '../support/api.js';
import { TestServer } from '../support/server.js';

let server: TestServer;
let user: TestUser;

/** Delivers live events until `enough` says so: 12,000 of them are over 20 MB, far more than a socket's buffers take. */
async function flood(enough: () => boolean): Promise<void> {
  const bus = server.app.get(EventBus);
  const email = `${'x'.repeat(1600)}@example.com`;
  const origin = { requestId: null, actorId: null, sessionId: null, ip: null, userAgent: null };
  for (let seq = 1_000_000; !enough(); seq += 1) {
    const event: DomainEvent<'login.success'> = {
      seq,
      id: `evt-${randomUUID()}`,
      type: 'login.success',
      timestamp: new Date().toISOString(),
      payload: { userId: user.id, email },
      subject: user.id,
      origin,
    };
    bus.deliver(event);
    if (seq % 20 === 0) await setImmediate();
    if (seq > 1_100_000) throw new Error('the connection was never closed');
  }
}

describe('a client that does not read', () => {
  beforeAll(async () => {
    server = await TestServer.start({
      REALTIME_MAX_BUFFERED_BYTES: '65536',
      WS_MAX_MESSAGES_PER_MINUTE: '0',
    });
    user = await server.api.register();
  });
  afterAll(() => server.close());

  it('on a stream is told stream.end, after what it can still take and before anything more', async () => {
    const quick = await server.subscriber(user.accessToken);
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write(`GET /api/v1/events/stream?token=${user.accessToken} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, 'data');
    socket.pause();
    await flood(() => quick.events.length > 12_000);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text = (text + chunk.toString()).slice(-1000)));
    socket.resume();
    while (!text.includes('event: stream.end')) await once(socket, 'data');
    expect(text).toContain('data: {"reason":"slow_consumer","reconnect":true}');
    expect(text.lastIndexOf('event: login.success')).toBeLessThan(text.indexOf('event: stream.end'));
    socket.destroy();
  });

  it('and floods the server with pings is cut, before it has authenticated too', async () => {
    const socket = await server.webSocket();
    socket.socket.pause();
    const { _socket: wire } = socket.socket as unknown as { _socket: Socket };
    // A masked ping of 125 bytes (RFC 6455 §5.5.2); the pongs go where nobody reads.
    const pings = Buffer.concat(Array.from({ length: 2000 }, () => Buffer.from([0x89, 0xfd, ...Buffer.alloc(129)])));
    wire.on('error', () => undefined);
    for (let sent = 0; sent < 40_000_000 && !wire.destroyed; sent += pings.length) {
      if (!wire.write(pings)) await once(wire, 'drain');
    }
    socket.socket.resume();
    expect(await socket.closed).toMatchObject({ code: 4429 });
  });

  it('is closed with 4429 and the id to resume from; a reading client misses nothing', async () => {
    const [slow, quick] = [await server.subscriber(user.accessToken), await server.subscriber(user.accessToken)];
    slow.socket.pause();
    await flood(() => quick.events.length > 12_000);
    slow.socket.resume();
    const { code, reason } = await slow.closed;
    expect(code).toBe(4429);
    const ids = slow.received.flatMap(({ event }) => (event ? [(event as { id: string }).id] : []));
    expect(reason).toContain(ids.at(-1));
    await quick.settle();
    expect(quick.events.length).toBeGreaterThan(ids.length);
    expect(
      quick.received.flatMap(({ event }) => (event ? [(event as { id: string }).id] : [])).slice(0, ids.length),
    ).toEqual(ids);
  });
});

describe('clients for which too much waits together', () => {
  it('are closed, the one for which most waits first; whoever reads stays', async () => {
    server = await TestServer.start({
      REALTIME_MAX_BUFFERED_BYTES: '1073741824',
      REALTIME_TOTAL_BUFFERED_BYTES: '1048576',
    });
    user = await server.api.register();
    const [slow, quick] = [await server.subscriber(user.accessToken), await server.subscriber(user.accessToken)];
    (slow.socket as unknown as { _socket: Socket })._socket.pause();
    await flood(() => server.app.get(RealtimeHub).list().length === 1);
    await quick.settle();
    expect(quick.socket.readyState).toBe(quick.socket.OPEN);
    await server.close();
  });
});
