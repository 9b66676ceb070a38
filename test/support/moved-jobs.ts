import { Injectable, Module } from '@nestjs/common';
import SqliteDatabase from 'better-sqlite3';
import { JobHandler } from '../../src/jobs/job-handler.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { RetryAfterError, UnrecoverableJobError, type JobContext } from '../../src/jobs/job-types.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import type { TestServer } from './server.js';

declare module '../../src/jobs/job-types.js' {
  interface JobTypes {
    'test.moved': { name: string };
  }
}

const HOUR_MS = 3_600_000;

/** The attempts that were made, with what their handlers were told. */
export const runs: { name: string; attempt: number; crashes: number }[] = [];

/** How an attempt goes on the file. On the copy every one succeeds. */
let work: (name: string, job: JobContext) => void = () => {};

@Injectable()
class Handlers {
  @JobHandler('test.moved')
  move({ name }: { name: string }, job: JobContext): void {
    runs.push({ name, attempt: job.attempt, crashes: job.crashes });
    work(name, job);
  }
}

/** Runs the jobs of {@link fillJobs} on both sides. */
@Module({
  imports: [JobsModule.forFeature({ 'test.moved': { backoff: { scheduleMs: [0] } } })],
  providers: [Handlers],
})
export class MovedJobs {}

/** Leaves jobs in every state that a service on SQLite leaves when it is stopped, named by what is to become of them. */
export async function fillJobs({ app }: TestServer): Promise<void> {
  const queue = app.get(JobQueue);
  work = (name, { attempt }) => {
    if (name.startsWith('failed')) throw new RetryAfterError('the other side is busy', HOUR_MS);
    if (name.startsWith('dead')) throw new UnrecoverableJobError('nothing helps: \u0000 "quotes" \\ 😀');
    if (name === 'completed late' && attempt < 3) throw new Error(`attempt ${attempt} failed`);
  };
  await queue.submit('test.moved', { name: 'dead, its key held' }, { uniqueKey: 'a "key"' });
  for (const name of ['completed', 'completed late', 'failed, due', 'failed, waits', 'dead'])
    await queue.submit('test.moved', { name });
  await app.get(JobWorker).idle();
  work = () => {};
  runs.length = 0;
  const held = { delayMs: HOUR_MS, uniqueKey: 'a "key"', group: 'a group', priority: 7 };
  await queue.submit('test.moved', { name: 'pending, holds the key' }, held);
  for (const name of ['later', 'pending, due', 'given back', 'killed', 'killed too often', 'suspect'])
    await queue.submit('test.moved', { name }, { delayMs: HOUR_MS });
  await queue.submit('test.moved', { name: 'later, with \u0000 "quotes" \\ 😀' }, { delayMs: HOUR_MS });
}

/** Makes of some of them, in the closed file, what a process that was killed leaves, and what comes due meanwhile. */
export function ageJobs(file: string): void {
  const changes = {
    'failed, due': 'runAt = createdAt',
    'pending, due': 'runAt = createdAt',
    'given back': 'runAt = createdAt, startedAt = createdAt + 1',
    suspect: `runAt = createdAt, startedAt = createdAt + 1, state = 'failed', attempts = 2, crashes = 2`,
    killed: `startedAt = createdAt + 1, state = 'processing', lease = 'a', attempts = 2`,
    'killed too often': `startedAt = createdAt + 1, state = 'processing', lease = 'b', attempts = 5, crashes = 4`,
  };
  const database = new SqliteDatabase(file);
  for (const [name, change] of Object.entries(changes)) {
    const { changes: rows } = database
      .prepare(`UPDATE jobs SET ${change} WHERE type = 'test.moved' AND payload->>'name' = ?`)
      .run(name);
    if (rows !== 1) throw new Error(`${rows} jobs are "${name}"`);
  }
  database.close();
}
