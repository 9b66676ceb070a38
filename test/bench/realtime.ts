import { setTimeout as sleep } from 'node:timers/promises';
import { load } from './http-load.js';
import { createKey, openStream, openWebSocket, RawClients } from './raw-clients.js';
import { mean, percentile, report, type Figure } from './report.js';
import { loginAsAdmin, startServer, stopServer } from './server-process.js';
import { usageOf } from './usage.js';

const PHASE_MS = 5000;
const ROUNDS = 2;
const PUBLISHERS = 64;
const QUIET_PER_SECOND = 60;

const { port, child } = await startServer<{ port: number }>('realtime-server');
const accessToken = await loginAsAdmin(port);
const act = createKey(accessToken);

type Mode = 'herald' | 'plain';
interface Phase {
  deliveriesPerSecond: number;
  cpuUs: number;
  p50: number;
  p99: number;
  eventBytes: number;
}

/** Publishes as fast as it goes, or steadily, and sees what arrives. */
async function phase(clients: RawClients, publish: () => Promise<unknown>): Promise<Phase> {
  clients.reset();
  const before = await usageOf(child);
  const startedAt = performance.now();
  await publish();
  // What is on its way arrives.
  for (let seen = -1; seen !== clients.bytes; await sleep(50)) seen = clients.bytes;
  const seconds = (performance.now() - startedAt) / 1000;
  const { deliveries, latencies, witnessBytes, witnessEvents } = clients;
  return {
    deliveriesPerSecond: deliveries / seconds,
    cpuUs: ((await usageOf(child)).cpu - before.cpuThen) / deliveries,
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
    eventBytes: Math.round(witnessBytes / witnessEvents),
  };
}

const saturate = () => load(port, act, PUBLISHERS, PHASE_MS);
async function steadily(): Promise<void> {
  const count = (QUIET_PER_SECOND * PHASE_MS) / 1000;
  const startedAt = performance.now();
  for (let n = 0; n < count; n += 1) {
    await load(port, act, 1, 0);
    await sleep(Math.max(0, startedAt + ((n + 1) * 1000) / QUIET_PER_SECOND - performance.now()));
  }
}

function summary(phases: Phase[]): Phase {
  const of = (field: keyof Phase) => mean(phases.map((one) => one[field]));
  const [p50, p99, eventBytes] = [of('p50'), of('p99'), Math.round(of('eventBytes'))];
  return { deliveriesPerSecond: of('deliveriesPerSecond'), cpuUs: of('cpuUs'), p50, p99, eventBytes };
}

/** Runs both ways in turn and tells their ratios. */
async function compare(
  name: string,
  open: (mode: Mode) => Promise<RawClients>,
  publish: () => Promise<unknown>,
  targets: { deliveries?: string; cpu: string },
): Promise<void> {
  const phases: Record<Mode, Phase[]> = { herald: [], plain: [] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const mode of ['plain', 'herald'] as const) {
      child.send({ mode });
      const clients = await open(mode);
      const result = await phase(clients, publish);
      clients.close();
      await sleep(300);
      // The first round warms up.
      if (round > 0) phases[mode].push(result);
    }
  }
  const [herald, plain] = [summary(phases.herald), summary(phases.plain)];
  const figures: Record<string, Figure> = {
    'deliveries per second': { value: Math.round(herald.deliveriesPerSecond) },
    'the same, plain': { value: Math.round(plain.deliveriesPerSecond) },
    'ratio of deliveries': {
      value: (herald.deliveriesPerSecond / plain.deliveriesPerSecond).toFixed(1),
      ...(targets.deliveries !== undefined && { target: targets.deliveries }),
    },
    'server CPU per delivery, us': { value: `${herald.cpuUs.toFixed(2)}, plain ${plain.cpuUs.toFixed(2)}` },
    'ratio of CPU': { value: (herald.cpuUs / plain.cpuUs).toFixed(3), target: targets.cpu },
    'act to receipt, p50 / p99 (ms)': {
      value: `${herald.p50} / ${herald.p99}, plain ${plain.p50} / ${plain.p99}`,
    },
    conditions: {
      value: `${herald.eventBytes} bytes an event, ${PHASE_MS} ms a phase, interleaved ${ROUNDS} times after one to warm up, server on core 0, clients on core 1, request log on, synchronous=FULL`,
    },
  };
  report(name, figures);
}

const webSockets = (count: number) => () => RawClients.open(count, () => openWebSocket(port, { token: accessToken }));
const streams = (count: number) => (mode: Mode) =>
  RawClients.open(count, () =>
    openStream(port, mode === 'herald' ? '/api/v1/events/stream' : '/api/v1/plain', { token: accessToken }),
  );
const only = process.argv[2];
const wants = (name: string) => only === undefined || only === name;
if (wants('ws'))
  await compare('fan-out, WebSocket, 1,000', webSockets(1000), saturate, { deliveries: '>= 12', cpu: '<= 0.083' });
if (wants('ws5'))
  await compare('fan-out, WebSocket, 5,000', webSockets(5000), saturate, { deliveries: '>= 12', cpu: '<= 0.083' });
if (wants('sse')) await compare('fan-out, SSE, 1,000', streams(1000), saturate, { deliveries: '>= 10', cpu: '-' });
if (wants('quiet')) await compare('quiet fan-out, 1,000, 60 events/s', webSockets(1000), steadily, { cpu: '<= 0.7' });
await stopServer(child);
