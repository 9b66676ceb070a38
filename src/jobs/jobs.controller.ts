import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import { toPage, type Page } from '../common/pagination.js';
import { AllowScope, Roles } from '../common/principal.js';
import type { JobRow } from './job.entity.js';
import { JobQueue } from './job-queue.service.js';
import { JOB_STATES, type FailedAttempt, type JobState } from './job-types.js';

const listQuery = z.strictObject({
  status: z.enum(JOB_STATES).optional(),
  type: z.string().optional(),
  after: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});
const redriveBody = z.strictObject({ type: z.string() });

/** A job as admins see it; times in epoch ms. */
interface JobView {
  id: string;
  type: string;
  status: JobState;
  priority: number;
  group: string;
  uniqueKey: string | null;
  attempts: number;
  crashes: number;
  /** Earliest start of the next attempt; null for a job that has ended. */
  runAt: number | null;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  /** The attempts that did not succeed, oldest first. */
  failures: FailedAttempt[];
}

/** The queue over REST, for admins. */
@Roles('admin')
@AllowScope('jobs:manage')
@Controller('jobs')
export class JobsController {
  constructor(private readonly queue: JobQueue) {}

  @Get('stats')
  stats(): Promise<Record<JobState, number>> {
    return this.queue.stats();
  }

  @Get()
  async list(
    @Query({ schema: listQuery }) { status, type, after, limit }: z.infer<typeof listQuery>,
  ): Promise<Page<JobView>> {
    const jobs = await this.queue.list({ state: status, type, beforeId: after, limit: limit + 1 });
    return toPage(jobs.map(toView), limit, ({ id }) => id);
  }

  /** Answers with the payload as well. */
  @Get(':id')
  async one(@Param('id') id: string): Promise<JobView & { payload: unknown }> {
    const job = await this.queue.get(id);
    return { ...toView(job), payload: job.payload };
  }

  @Post('redrive')
  @HttpCode(200)
  async redrive(@Body({ schema: redriveBody }) { type }: z.infer<typeof redriveBody>): Promise<{ redriven: number }> {
    return { redriven: await this.queue.redrive(type) };
  }

  @Post(':id/retry')
  @HttpCode(200)
  async retry(@Param('id') id: string): Promise<JobView> {
    return toView(await this.queue.retry(id));
  }

  @Delete(':id')
  @HttpCode(204)
  async discard(@Param('id') id: string): Promise<void> {
    await this.queue.discard(id);
  }
}

function toView(job: JobRow): JobView {
  const { id, type, state, priority, groupKey, uniqueKey, attempts, crashes, createdAt, startedAt, finishedAt } = job;
  const runAt = state === 'pending' || state === 'failed' ? job.runAt : null;
  const about = { id, type, status: state, priority, group: groupKey, uniqueKey, attempts, crashes };
  return { ...about, runAt, createdAt, startedAt, finishedAt, failures: job.history ?? [] };
}
