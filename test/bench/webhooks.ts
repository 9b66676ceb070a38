import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { mean, percentile, report } from './report.js';

const RECEIVERS = 4;
const PHASE_MS = 10_000;
const ROUNDS = 2;
const EVENTS_PER_BATCH = 50;
/** Deliveries under way at most, so that the receivers are never idle and the backlog does not grow. */
const OUTSTANDING = 4000;

let failing = false;
const seen = { requests: 0, delivered: 0, published: 0 };
/** What each receiver has failed once, by webhook-id. */
const failed = Array.from({ length: RECEIVERS }, () => new Set<string>());
const latencies: number[] = [];

const servers = failed.map((failedOnce) =>
  createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.requests += 1;
      const id = String(request.headers['webhook-id']);
      if (failing && !failedOnce.has(id)) {
        failedOnce.add(id);
        response.writeHead(500).end();
        return;
      }
      failedOnce.delete(id);
      seen.delivered += 1;
      const { timestamp } = JSON.parse(Buffer.concat(chunks).toString()) as { timestamp: string };
      latencies.push(Date.now() - Date.parse(timestamp));
      response.writeHead(204).end();
    });
  }),
);
for (const server of servers) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

const child = spawn(
  'taskset',
  ['-c', '0', process.execPath, new URL('./webhooks-server.js', import.meta.url).pathname],
  {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  },
);
const [{ url }] = (await once(child, 'message')) as [{ url: string }];
const call = async (path: string, body: unknown, token?: string) => {
  const headers = {
    'Content-Type': 'application/json',
    ...(token !== undefined && { Authorization: `Bearer ${token}` }),
  };
  const response = await fetch(`${url}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  return ((await response.json()) as { data: { accessToken: string } }).data;
};
const { accessToken } = await call('/auth/login', { email: 'admin@example.com', password: 'Admin-password-1' });
for (const server of servers) {
  const hook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await call('/webhooks', { url: hook, events: ['login.failed'] }, accessToken);
}

interface Phase {
  rate: number;
  cpuUs: number;
  p50: number;
  p99: number;
  requests: number;
}

/** Publishes for a while, then waits until everything of it has arrived. */
async function phase(fail: boolean): Promise<Phase> {
  failing = fail;
  const before = { ...seen };
  latencies.length = 0;
  const cpuBefore = await cpu();
  const startedAt = performance.now();
  while (performance.now() - startedAt < PHASE_MS) {
    if (seen.published - seen.delivered < OUTSTANDING) {
      seen.published += EVENTS_PER_BATCH * RECEIVERS;
      child.send({ publish: EVENTS_PER_BATCH });
    }
    await sleep(2);
  }
  const rate = (seen.delivered - before.delivered) / ((performance.now() - startedAt) / 1000);
  while (seen.delivered < seen.published) await sleep(5);
  const count = seen.delivered - before.delivered;
  const cpuUs = ((await cpu()) - cpuBefore) / count;
  return {
    rate,
    cpuUs,
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
    requests: seen.requests - before.requests,
  };
}

async function cpu(): Promise<number> {
  child.send({ cpu: true });
  const [{ cpu: usage }] = (await once(child, 'message')) as [{ cpu: NodeJS.CpuUsage }];
  return usage.user + usage.system;
}

await phase(false);
const plain: Phase[] = [];
const troubled: Phase[] = [];
for (let round = 0; round < ROUNDS; round += 1) {
  plain.push(await phase(false));
  troubled.push(await phase(true));
}
const rateOf = (phases: Phase[]) => Math.round(mean(phases.map(({ rate }) => rate)));
report('webhooks', {
  'deliveries per second, every first attempt failing': { value: rateOf(troubled), target: '>= 1000' },
  'deliveries per second, no failures': { value: rateOf(plain) },
  ratio: { value: (rateOf(troubled) / rateOf(plain)).toFixed(2) },
  'delivered of published': { value: `${seen.delivered} of ${seen.published}`, target: '100 %' },
  'requests made in the failing phases': { value: troubled.reduce((sum, one) => sum + one.requests, 0) },
  'server CPU per delivery, failing / not (us)': {
    value: `${Math.round(mean(troubled.map(({ cpuUs }) => cpuUs)))} / ${Math.round(mean(plain.map(({ cpuUs }) => cpuUs)))}`,
  },
  'publish to receipt, no failures, p50 / p99 (ms)': { value: `${plain.at(-1)?.p50} / ${plain.at(-1)?.p99}` },
  'publish to receipt, failing, p50 / p99 (ms)': { value: `${troubled.at(-1)?.p50} / ${troubled.at(-1)?.p99}` },
  conditions: {
    value: `${RECEIVERS} receivers, ${PHASE_MS} ms a phase, interleaved ${ROUNDS} times, retry after 1 s, synchronous=FULL, server on core 0, receivers on core 1`,
  },
});
child.send({ stop: true });
await once(child, 'exit');
for (const server of servers) {
  server.closeAllConnections();
  server.close();
}
