import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Api, type TestUser } from '../support/api.js';
import { newHolder, REVOCATIONS, type ConnectionName, type Holder, type Revocation } from '../support/revocations.js';
import { openStream, openWebSocket, RawClients, type Credentials } from './raw-clients.js';
import { percentile, report } from './report.js';
import { loginAsAdmin, startServer, stopServer } from './server-process.js';

const OTHERS = 1000;
const ROUNDS = 20;
const TARGET_MS = 100;
/** What a client is told last: the reason in the close frame, and the event of a stream. */
const GOODBYES = { websocket: 'The session has ended', sse: 'event: stream.end' };

const { child, port } = await startServer<{ port: number }>('realtime-server');
const api = new Api(`http://127.0.0.1:${port}/api/v1`);
const admin = await loginAsAdmin(port);

async function resetToken({ id, email }: TestUser): Promise<string> {
  child.send({ resetPassword: { userId: id, email } });
  const [{ token }] = (await once(child, 'message')) as [{ token: string }];
  return token;
}

const stream = '/api/v1/events/stream';
/** Resolves with when a connection was told goodbye; fails when it was cut off without. */
function goodbyeOn(socket: Socket, goodbye: string): Promise<number> {
  let text = '';
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error(`no goodbye, but ${text}`)));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes(goodbye)) resolve(performance.now());
    });
  });
}

async function connect({ user, second, key }: Holder): Promise<Map<ConnectionName, Socket>> {
  const holders = {
    first: { token: user.accessToken },
    second: { token: second.accessToken },
    key: { apiKey: key.rawKey },
  };
  const sockets = new Map<ConnectionName, Socket>();
  for (const [name, credentials] of Object.entries(holders) as ['first' | 'second' | 'key', Credentials][]) {
    sockets.set(`${name} websocket`, await openWebSocket(port, credentials));
    sockets.set(`${name} sse`, await openStream(port, stream, credentials));
  }
  return sockets;
}

/** In ms, one of each per connection that was ended. */
const fromAnswer: number[] = [];
const fromRequest: number[] = [];
/** The longest of each act. */
const worst = new Map<string, number>();

async function measure({ name, prepare, status, ends }: Revocation): Promise<void> {
  const holder = await newHolder(api);
  const sockets = await connect(holder);
  const { method, path, ...options } = await prepare(holder, { api, admin, resetToken });
  const goodbyes = ends.map((end) => {
    const transport = end.endsWith('sse') ? 'sse' : 'websocket';
    return goodbyeOn(sockets.get(end) as Socket, GOODBYES[transport]);
  });
  const askedAt = performance.now();
  const answer = await api.call(method, path, options);
  const answeredAt = performance.now();
  if (status === undefined ? answer.status >= 300 : answer.status !== status) {
    throw new Error(`${name} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  }
  for (const at of await Promise.all(goodbyes)) {
    const late = Math.max(0, at - answeredAt);
    fromAnswer.push(late);
    fromRequest.push(at - askedAt);
    worst.set(name, Math.max(worst.get(name) ?? 0, late));
  }
  for (const socket of sockets.values()) socket.destroy();
}

// They see everything, so each act is delivered to all of them as well.
const others = await RawClients.open(OTHERS / 2, () => openWebSocket(port, { token: admin }));
const streams = await RawClients.open(OTHERS / 2, () => openStream(port, stream, { token: admin }));
const kinds = REVOCATIONS.filter(({ ends }) => ends.length > 0);
for (let round = 0; round < ROUNDS; round += 1) for (const kind of kinds) await measure(kind);

const rounded = (ms: number) => ms.toFixed(1);
const of = (samples: number[]) => [50, 99, 100].map((percent) => rounded(percentile(samples, percent))).join(' / ');
const [[slowest, slowestMs] = ['', 0]] = [...worst].toSorted(([, a], [, b]) => b - a);
report('revocation, 1,000 other connections', {
  'from the answer to the end, p50 / p99 / max (ms)': { value: of(fromAnswer), target: `max <= ${TARGET_MS}` },
  'from the request to the end, p50 / p99 / max (ms)': { value: of(fromRequest) },
  'the slowest act': { value: `${slowest}, ${rounded(slowestMs)} ms` },
  'connections ended, and before the answer': {
    value: `${fromAnswer.length}, ${fromAnswer.filter((ms) => ms === 0).length}`,
  },
  'others that were cut off': { value: others.closed + streams.closed, target: '0' },
  conditions: {
    value: `${kinds.length} acts, ${ROUNDS} times each, ${OTHERS} others subscribed to everything, half of them on SSE, an end before the answer is 0, server on core 0, clients on core 1, request log on, synchronous=FULL`,
  },
});
others.close();
streams.close();
await stopServer(child);
