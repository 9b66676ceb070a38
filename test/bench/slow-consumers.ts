import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { openWebSocket, RawClients, readToEnd } from './raw-clients.js';
import { mean, percentile, report } from './report.js';
import { loginAsAdmin, startServer, stopServer } from './server-process.js';
import { usageOf } from './usage.js';

const OTHERS = 100;
const SLOW = 5;
const PHASE_MS = 30_000;
const ROUNDS = 2;

const { port, child } = await startServer<{ port: number }>('realtime-server');
const token = await loginAsAdmin(port);

/** What waits for all connections, as the service itself tells. */
async function waitingBytes(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^herald_realtime_waiting_bytes (\d+)/m.exec(text)?.[1]);
}

const latencies: Record<'alone' | 'beside', number[]> = { alone: [], beside: [] };
const memory: Record<'alone' | 'beside', number[]> = { alone: [], beside: [] };
const waited: number[] = [];
const offered: number[] = [];
let resumable = 0;
for (let round = 0; round <= ROUNDS; round += 1) {
  for (const phase of ['alone', 'beside'] as const) {
    const others = await RawClients.open(OTHERS, () => openWebSocket(port, { token }));
    const slow = await Promise.all(
      Array.from({ length: phase === 'alone' ? 0 : SLOW }, () => openWebSocket(port, { token })),
    );
    for (const socket of slow) socket.pause();
    others.reset();
    child.send({ publishFor: PHASE_MS });
    let most = 0;
    for (let at = 0; at < PHASE_MS - 1000; at += 500) {
      await sleep(500);
      most = Math.max(most, await waitingBytes());
    }
    await once(child, 'message');
    const { rss } = await usageOf(child);
    const ends = await Promise.all(slow.map((socket) => isResumable(socket)));
    // The first round warms up, and fills what the service keeps of every event.
    if (round > 0) {
      latencies[phase].push(...others.latencies);
      memory[phase].push(rss);
      if (phase === 'beside') {
        offered.push(others.witnessBytes);
        waited.push(most / SLOW);
        resumable += ends.filter(Boolean).length;
      }
    }
    others.close();
    await sleep(300);
  }
}

/** Reads what is left, and says whether it ends with 4429 and the id of the last event before. */
async function isResumable(socket: Socket): Promise<boolean> {
  const { code, reason, lastEventId } = await readToEnd(socket);
  return code === 4429 && lastEventId !== undefined && reason.includes(lastEventId);
}

const [alone, beside] = [percentile(latencies.alone, 99), percentile(latencies.beside, 99)];
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(2);
report('slow consumers', {
  'act to receipt of the others, p50 / p99 (ms)': {
    value: `${percentile(latencies.beside, 50)} / ${beside}, alone ${percentile(latencies.alone, 50)} / ${alone}`,
  },
  'ratio of p99': { value: (beside / alone).toFixed(2), target: '<= 1.2' },
  'offered to each, MB': { value: megabytes(Math.min(...offered)), target: '>= 25' },
  'most that waited for each, MB': { value: megabytes(Math.max(...waited)), target: '<= 2' },
  'memory of the process more than without them, MB for each': {
    value: megabytes((mean(memory.beside) - mean(memory.alone)) / SLOW),
    target: '<= 2',
  },
  'closed with 4429 and the id to resume from': { value: `${resumable} of ${SLOW * ROUNDS}`, target: 'all' },
  conditions: {
    value: `${SLOW} that never read beside ${OTHERS} that do, ${PHASE_MS} ms a phase, interleaved ${ROUNDS} times after one to warm up, 1,500 events a second`,
  },
});
await stopServer(child);
