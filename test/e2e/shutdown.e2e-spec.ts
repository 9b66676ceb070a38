import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Api } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN } from '../support/server.js';
import { SseClient } from '../support/sse-client.js';
import { WsClient } from '../support/ws-client.js';

/** The order in which the built server goes down: what came before is looked at when what follows is seen. */
describe('a shutdown', { timeout: 60_000 }, () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let receiver: Receiver;
  let environment: Record<string, string>;
  const servers: BuiltServer[] = [];
  const sockets: Socket[] = [];
  beforeEach(async () => {
    folder = temporaryFolder();
    receiver = await Receiver.start();
    environment = {
      DATABASE_URL: `sqlite:${join(folder.path, 'herald.sqlite')}`,
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
    };
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await Promise.all(servers.splice(0).map((server) => server.stop('SIGKILL')));
    await receiver.close();
    folder.remove();
  });

  async function start(more: Record<string, string> = {}): Promise<BuiltServer> {
    const server = await BuiltServer.start({ ...environment, ...more });
    servers.push(server);
    return server;
  }

  /** Opens a bare connection, sends the head of a request, and waits for the first bytes of the answer. */
  async function say(server: BuiltServer, head: string): Promise<{ socket: Socket; answer: string }> {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(`${head}\r\nHost: herald\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return { socket, answer: answer.toString() };
  }

  /** Tries to connect: "connected", or why not. */
  async function knock(server: BuiltServer): Promise<string> {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    sockets.push(socket);
    return new Promise((resolve) => {
      socket.once('connect', () => resolve('connected'));
      socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? ''));
    });
  }

  it('is not ready, then accepts nobody, tells the streams, lets jobs and requests end, and then closes the database', async () => {
    const server = await start({ SHUTDOWN_DELAY_MS: '500' });
    const api = new Api(`${server.url}/api/v1`);
    const { accessToken: token } = await api.login(ADMIN);
    // A job that runs for as long as this test wants.
    let finishJob = (): void => undefined;
    receiver.answer = (_request, response: ServerResponse) => {
      finishJob = () => void response.writeHead(204).end();
    };
    const { body } = await api.post('/webhooks', { url: receiver.url, events: ['login.failed'] }, token);
    await api.post('/auth/login', { email: ADMIN.email, password: 'Wrong-password-1' });
    await receiver.next();
    // A request that is under way, clients that say goodbye, and one that does not: the server has to wait for it.
    const registration = JSON.stringify({ email: 'late@example.com', password: 'Correct-horse-1' });
    const request = await say(
      server,
      'POST /api/v1/auth/register HTTP/1.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n' +
        `Content-Length: ${registration.length}`,
    );
    const { socket: silent } = await say(
      server,
      'GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    );
    const toldSilent = once(silent, 'data') as Promise<[Buffer]>;
    const socket = await WsClient.open(`${server.url.replace('http', 'ws')}/ws`, {});
    const stream = await SseClient.open(`${server.url}/api/v1/events/stream`, { token });
    await stream.next();

    const ended = server.stop('SIGTERM');

    // Not ready, and still there for everybody.
    await expect.poll(async () => (await fetch(`${server.url}/readiness`)).status, { interval: 5 }).toBe(503);
    expect(await knock(server)).toBe('connected');
    expect(stream.received.some(({ event }) => event === 'stream.end')).toBe(false);
    // Nobody new when the streams are told, although one of them makes the server wait.
    await stream.nextEvent('stream.end');
    expect(await knock(server)).toBe('ECONNREFUSED');
    expect(await socket.closed).toMatchObject({ code: 1001 });
    // The head of a close frame, and 1001 (RFC 6455 §5.5.1).
    expect([...(await toldSilent)[0].subarray(0, 1), ...(await toldSilent)[0].subarray(2, 4)]).toEqual([0x88, 3, 233]);
    // The request is answered, and told that its connection is over.
    request.socket.write(registration);
    const answer = ((await once(request.socket, 'data')) as [Buffer]).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(answer).toMatch(/\r\nConnection: close\r\n/i);
    // All connections are gone; the process is there for as long as the job runs.
    await once(request.socket, 'close');
    expect(server.process.exitCode).toBeNull();
    finishJob();
    expect(await ended).toEqual({ code: 0, signal: null });

    // The database was open until the end: what came last is in it, and the job is done and not done again.
    const again = new Api(`${(await start()).url}/api/v1`);
    await again.login({ email: 'late@example.com', password: 'Correct-horse-1' });
    const { accessToken } = await again.login(ADMIN);
    const deliveries = await again.get(`/webhooks/${body.data.id}/deliveries`, accessToken);
    expect(deliveries.body.data.items).toMatchObject([{ status: 'delivered', attempts: [{ number: 1 }] }]);
    expect(receiver.received).toHaveLength(1);
  });

  it('gives a job back that does not end in its share of the time, and ends in order', async () => {
    const server = await start({ SHUTDOWN_GRACE_MS: '1000' });
    const api = new Api(`${server.url}/api/v1`);
    const { accessToken: token } = await api.login(ADMIN);
    receiver.answer = () => undefined;
    await api.post('/webhooks', { url: receiver.url, events: ['login.failed'] }, token);
    await api.post('/auth/login', { email: ADMIN.email, password: 'Wrong-password-1' });
    await receiver.next();
    expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    receiver.answer = () => 204;
    await start();
    // The next process makes the same attempt, under the same id.
    const { headers } = await receiver.next();
    expect(headers['webhook-id']).toBe(receiver.received[0]?.headers['webhook-id']);
  });
});
