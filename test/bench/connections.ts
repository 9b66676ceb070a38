import { setTimeout as sleep } from 'node:timers/promises';
import { openBareWebSocket, openWebSocket, RawClients } from './raw-clients.js';
import { report } from './report.js';
import { loginAsAdmin, startServer, stopServer } from './server-process.js';
import { usageOf, type Usage } from './usage.js';
import type { ChildProcess } from 'node:child_process';

const COUNT = 5000;
const IDLE_MS = 5000;

/** Memory when nothing changes any more. */
async function settled(child: ChildProcess): Promise<Usage> {
  let usage = await usageOf(child);
  for (let n = 0; n < 5; n += 1) {
    await sleep(300);
    usage = await usageOf(child);
  }
  return usage;
}

/** CPU time while nothing happens, in ms a second. */
async function idleCpu(child: ChildProcess): Promise<number> {
  const before = await usageOf(child);
  await sleep(IDLE_MS);
  return ((await usageOf(child)).cpu - before.cpuThen) / IDLE_MS;
}

/** What one of many idle connections costs: bytes, and µs of CPU per second. */
async function cost(child: ChildProcess, open: () => ReturnType<typeof openBareWebSocket>) {
  // What a server keeps for its first connections is not theirs.
  const first = await RawClients.open(COUNT / 10, open);
  first.close();
  const before = await settled(child);
  const idle = await idleCpu(child);
  const clients = await RawClients.open(COUNT, open);
  const after = await settled(child);
  const cpuMs = (await idleCpu(child)) - idle;
  clients.close();
  return { bytes: (after.rss - before.rss) / COUNT, cpuMs };
}

const bare = await startServer<{ port: number }>('bare-ws-server');
const herald = await startServer<{ port: number }>('realtime-server');
const token = await loginAsAdmin(herald.port);
const plain = await cost(bare.child, () => openBareWebSocket(bare.port));
const ours = await cost(herald.child, () => openWebSocket(herald.port, { token }));
report('connections', {
  'bytes a connection, authenticated and subscribed': { value: Math.round(ours.bytes) },
  'bytes a connection, bare ws': { value: Math.round(plain.bytes) },
  'more, in bytes': { value: Math.round(ours.bytes - plain.bytes), target: '<= 4096' },
  'CPU that all of them take while idle, ms a second': {
    value: `${ours.cpuMs.toFixed(1)}, bare ${plain.cpuMs.toFixed(1)}`,
  },
  conditions: { value: `${COUNT} connections, resident memory after a collection, each server its own process` },
});
await stopServer(bare.child);
await stopServer(herald.child);
