import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobRow } from '../../src/jobs/job.entity.js';
import type { TestServer } from './server.js';

/** Makes a dead job, which is delayed as well, so that the worker leaves it alone until it is dead. */
export async function deadJob({ app }: TestServer): Promise<string> {
  const payload = { email: 'nobody@example.com' };
  const id = await app.get(JobQueue).submit('auth.forgot-password', payload, { delayMs: 3_600_000 });
  const failure = { attempt: 1, at: Date.now(), error: 'it failed' };
  await app.get(UnitOfWork).run((tx) => tx.update(JobRow, { id }, { state: 'dead', attempts: 1, history: [failure] }));
  return id;
}
