import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { createApp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/config.js';
import { JobHandler } from '../../src/jobs/job-handler.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import { TestDatabase } from '../support/database.js';
import { startPostgres } from '../support/postgres.js';
import { percentile, report } from './report.js';

declare module '../../src/jobs/job-types.js' {
  interface JobTypes {
    'bench.nothing': { n: number };
  }
}

/** `BENCH_DATABASE=postgres`: on a server of its own, with fewer jobs. */
const onPostgres = process.env['BENCH_DATABASE'] === 'postgres';
const WAITING = onPostgres ? 20_000 : 100_000;
const MEASURED = onPostgres ? 40_000 : 200_000;
const BATCH = 500;
const STARTS = onPostgres ? 500 : 2000;
const IDLE_MS = 5000;
const HOUR_MS = 3_600_000;

let onStart: (n: number) => void = () => undefined;
const progress = { done: 0 };

@Injectable()
class Nothing {
  @JobHandler('bench.nothing')
  handle({ n }: { n: number }): void {
    onStart(n);
    progress.done += 1;
  }
}

@Module({ imports: [JobsModule.forFeature({ 'bench.nothing': {} })], providers: [Nothing] })
class BenchModule {}

/** CPU time this process uses while nothing happens, in ms per second. */
async function idleCpu(): Promise<number> {
  const before = process.cpuUsage();
  await sleep(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / (IDLE_MS / 1000);
}

async function startDelays(queue: JobQueue): Promise<number[]> {
  const delays: number[] = [];
  for (let n = 0; n < STARTS; n += 1) {
    // From the commit on: how long the caller waits for its own commit is not the queue's doing.
    let started: (at: number) => void = () => undefined;
    const start = new Promise<number>((resolve) => (started = resolve));
    onStart = () => started(performance.now());
    await queue.submit('bench.nothing', { n });
    const committed = performance.now();
    delays.push(Math.max(0, (await start) - committed));
    await sleep(1);
  }
  onStart = () => undefined;
  return delays;
}

const server = onPostgres ? await startPostgres(['shared_buffers=256MB']) : undefined;
const database = await (server ? TestDatabase.createOn(server.url) : TestDatabase.create());
const config = loadConfig({
  NODE_ENV: 'test',
  LOG_LEVEL: 'error',
  ...database.environment,
  // As it is deployed, and not as tests have it.
  SQLITE_SYNCHRONOUS: process.env['SQLITE_SYNCHRONOUS'] ?? 'FULL',
});
const app = await createApp(config, [BenchModule]);
await app.init();
const queue = app.get(JobQueue);
const worker = app.get(JobWorker);
const submit = (count: number, delayMs = 0) =>
  queue.submitAll(
    'bench.nothing',
    Array.from({ length: count }, (_, n) => ({ payload: { n }, options: { delayMs } })),
  );

// Throughput: all of them wait from the beginning, and as many are submitted as are done.
for (let n = 0; n < WAITING; n += BATCH) await submit(BATCH);
await worker.start();
const startedAt = performance.now();
let submitted = 0;
while (progress.done < MEASURED) {
  if (submitted <= progress.done) {
    submitted += BATCH;
    await submit(BATCH);
  } else {
    await sleep(0);
  }
}
const seconds = (performance.now() - startedAt) / 1000;
const rate = progress.done / seconds;
const waiting = (await queue.stats()).pending;
const drainStartedAt = performance.now();
await worker.idle();
const drainRate = waiting / ((performance.now() - drainStartedAt) / 1000);
const { completed, ...rest } = await queue.stats();

const idleEmpty = await idleCpu();
const delaysEmpty = await startDelays(queue);
for (let n = 0; n < WAITING; n += BATCH) await submit(BATCH, HOUR_MS);
await worker.idle();
const idleFull = await idleCpu();
const delaysFull = await startDelays(queue);
report('jobs', {
  [`submitted and completed per second, ${WAITING} waiting`]: { value: Math.round(rate), target: '>= 20000' },
  'completed per second while the backlog drains': { value: Math.round(drainRate) },
  'start after commit, empty queue, p50 / p99 (ms)': {
    value: `${percentile(delaysEmpty, 50).toFixed(2)} / ${percentile(delaysEmpty, 99).toFixed(2)}`,
    target: 'p99 <= 20',
  },
  [`start after commit, ${WAITING} waiting, p50 / p99 (ms)`]: {
    value: `${percentile(delaysFull, 50).toFixed(2)} / ${percentile(delaysFull, 99).toFixed(2)}`,
    target: 'p99 <= 20',
  },
  'idle CPU, empty queue (ms per s)': { value: idleEmpty.toFixed(2) },
  [`idle CPU, ${WAITING} waiting (ms per s)`]: { value: idleFull.toFixed(2), target: 'no growth' },
  'jobs completed, and in any other state before the second fill': {
    value: `${completed}, ${Object.values(rest).reduce((sum, count) => sum + count, 0)}`,
  },
  conditions: {
    value: `JOBS_CONCURRENCY=${config.JOBS_CONCURRENCY}, ${onPostgres ? 'PostgreSQL, fsync on' : `synchronous=${config.SQLITE_SYNCHRONOUS}`}`,
  },
});
await app.close();
await database.remove();
await server?.remove();
