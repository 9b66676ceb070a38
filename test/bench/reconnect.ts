import { setTimeout as sleep } from 'node:timers/promises';
import { load } from './http-load.js';
import { createKey, openWebSocket, RawClients, resumeWebSocket } from './raw-clients.js';
import { percentile, report } from './report.js';
import { loginAsAdmin, startServer, stopServer } from './server-process.js';

const OTHERS = 1000;
const RETURNING = 5000;
const MISSED = 100;
const PER_SECOND = 60;
const ROUNDS = 3;

const { port, child } = await startServer<{ port: number }>('realtime-server');
const token = await loginAsAdmin(port);
const act = createKey(token);
const end = new AbortController();

/** Publishes steadily until it is told to stop. */
async function publish(): Promise<void> {
  for (let next = performance.now(); !end.signal.aborted; next += 1000 / PER_SECOND) {
    await load(port, act, 1, 0);
    await sleep(Math.max(0, next - performance.now()));
  }
}

const others = await RawClients.open(OTHERS, () => openWebSocket(port, { token }));
const publishing = publish();
const quiet: number[] = [];
const storm: number[] = [];
const durations: number[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  others.reset();
  while (others.latencies.length < 3 * MISSED) await sleep(100);
  quiet.push(...others.latencies);
  const cursor = others.idOfEventBefore(MISSED);
  others.reset();
  const startedAt = performance.now();
  const returned = await Promise.all(Array.from({ length: RETURNING }, () => resumeWebSocket(port, token, cursor)));
  durations.push(performance.now() - startedAt);
  storm.push(...others.latencies);
  for (const socket of returned) socket.destroy();
  await sleep(2000);
}
end.abort();
await publishing;
others.close();
const times = (samples: number[]) => [50, 99, 100].map((percent) => percentile(samples, percent)).join(' / ');
report('reconnect', {
  'act to receipt of the others meanwhile, p50 / p99 / max (ms)': { value: times(storm) },
  'the same when it is quiet (ms)': { value: times(quiet) },
  'until all were back and had everything (ms)': { value: durations.map(Math.round).join(', ') },
  conditions: {
    value: `${RETURNING} WebSockets that come back in one moment, ${MISSED} events behind, beside ${OTHERS} that stay; ${PER_SECOND} events a second, ${ROUNDS} rounds; the client, on one core too, is part of it`,
  },
});
await stopServer(child);
