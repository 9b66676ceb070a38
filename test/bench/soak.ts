import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from './http-load.js';
import { createKey, openStream, openWebSocket, RawClients, resumeWebSocket } from './raw-clients.js';
import { mean, report } from './report.js';
import { loginAsAdmin, startServer, stopServer } from './server-process.js';
import { usageOf } from './usage.js';

const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 20);
const PER_SECOND = 200;
const PUBLISHERS = 16;
/** Of each transport. */
const CLIENTS = 100;
/** How many of each leave and come back in a second. */
const CHURN = 10;
/** How far behind they are when they come back, in events. */
const MISSED = 50;

const { port, child } = await startServer<{ port: number }>('realtime-server');
const token = await loginAsAdmin(port);
const act = createKey(token);
const end = new AbortController();

/** Publishes steadily until the end. */
async function publish(): Promise<number> {
  let count = 0;
  for (let next = performance.now(); !end.signal.aborted; next += (1000 * PUBLISHERS) / PER_SECOND) {
    await load(port, act, 1, 0);
    count += 1;
    await sleep(Math.max(0, next - performance.now()));
  }
  return count;
}

/** Has the oldest of some clients leave, and others come in their place. */
async function churn(sockets: Socket[], open: () => Promise<Socket>): Promise<void> {
  for (const socket of sockets.splice(0, CHURN)) socket.destroy();
  sockets.push(...(await Promise.all(Array.from({ length: CHURN }, open))));
}

const witness = await RawClients.open(1, () => openWebSocket(port, { token }));
const reading = (socket: Socket) => socket.on('error', () => undefined).resume();
const stream = async (query = '') => reading(await openStream(port, `/api/v1/events/stream${query}`, { token }));
const webSocket = async (cursor: string) => reading(await resumeWebSocket(port, token, cursor));
const publishing = Promise.all(Array.from({ length: PUBLISHERS }, publish));
while (witness.latencies.length < 2 * MISSED) await sleep(100);
const cursor = witness.idOfEventBefore(MISSED);
const sockets = await Promise.all(Array.from({ length: CLIENTS }, () => webSocket(cursor)));
const streams = await Promise.all(Array.from({ length: CLIENTS }, () => stream()));

/** Resident memory after a collection, in MB, four times a minute. */
const samples: number[] = [];
const until = performance.now() + MINUTES * 60_000;
for (let second = 1; performance.now() < until; second += 1) {
  const next = performance.now() + 1000;
  const lastEventId = witness.idOfEventBefore(MISSED);
  witness.forget(MISSED);
  await churn(sockets, () => webSocket(lastEventId));
  await churn(streams, () => stream(`?lastEventId=${lastEventId}`));
  if (second % 15 === 0) samples.push((await usageOf(child)).rss / 1e6);
  await sleep(Math.max(0, next - performance.now()));
}
end.abort();
const published = (await publishing).reduce((sum, count) => sum + count, 0);
for (const socket of [...sockets, ...streams]) socket.destroy();
witness.close();

const quarter = Math.max(1, Math.floor(samples.length / 4));
const quarters = [0, 1, 2, 3].map((at) => mean(samples.slice(at * quarter, (at + 1) * quarter)).toFixed(1));
report('soak', {
  'resident memory by quarters of the time, MB': { value: quarters.join(', '), target: 'flat from the second on' },
  'smallest and largest after the first quarter, MB': {
    value: `${Math.min(...samples.slice(quarter)).toFixed(1)}, ${Math.max(...samples.slice(quarter)).toFixed(1)}`,
  },
  'events published': { value: `${published}, ${(published / MINUTES / 60).toFixed(0)} a second` },
  conditions: {
    value: `${MINUTES} minutes, ${CLIENTS} WebSockets and as many streams, of each ${CHURN} a second leave and others come back ${MISSED} events behind; memory after a collection, every 15 s`,
  },
});
await stopServer(child);
