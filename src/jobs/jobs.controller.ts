import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { Documented } from '../common/documented.js';
import { uuid } from '../common/fields.js';
import { toPage } from '../common/pagination.js';
import { AllowScope, Roles } from '../common/principal.js';
import type { JobRow } from './job.entity.js';
import { JobQueue } from './job-queue.service.js';
import {
  jobPage,
  jobView,
  jobWithPayload,
  listQuery,
  redriveAnswer,
  redriveBody,
  statsView,
  typesAnswer,
  type JobView,
} from './jobs.schemas.js';

/** The queue over REST, for admins. */
@Roles('admin')
@AllowScope('jobs:manage')
@Controller('jobs')
export class JobsController {
  constructor(private readonly queue: JobQueue) {}

  @Get('stats')
  @Documented({ summary: 'Count the jobs by status', answer: statsView })
  stats(): Promise<z.infer<typeof statsView>> {
    return this.queue.stats();
  }

  /** Every type there is, with the same counts. */
  @Get('types')
  @Documented({ summary: 'Count the jobs of each type by status', answer: typesAnswer })
  async types(): Promise<z.infer<typeof typesAnswer>> {
    return { types: await this.queue.statsByType() };
  }

  @Get()
  @Documented({ summary: 'List jobs, the newest first', answer: jobPage })
  async list(
    @Query({ schema: listQuery }) { status, type, after, limit }: z.infer<typeof listQuery>,
  ): Promise<z.infer<typeof jobPage>> {
    const jobs = await this.queue.list({ state: status, type, beforeId: after, limit: limit + 1 });
    return toPage(jobs.map(toView), limit, ({ id }) => id);
  }

  /** Answers with the payload as well. */
  @Get(':id')
  @Documented({ summary: 'Read a job with its payload', params: { id: uuid }, answer: jobWithPayload })
  async one(@Param('id') id: string): Promise<z.infer<typeof jobWithPayload>> {
    const job = await this.queue.get(id);
    return { ...toView(job), payload: job.payload };
  }

  @Post('redrive')
  @HttpCode(200)
  @Documented({ summary: 'Run all dead jobs of a type again', answer: redriveAnswer })
  async redrive(
    @Body({ schema: redriveBody }) { type }: z.infer<typeof redriveBody>,
  ): Promise<z.infer<typeof redriveAnswer>> {
    return { redriven: await this.queue.redrive(type) };
  }

  @Post(':id/retry')
  @HttpCode(200)
  @Documented({
    summary: 'Run a job again at once',
    params: { id: uuid },
    answer: jobView,
    errors: { CONFLICT: 'The job is neither dead nor waiting.' },
  })
  async retry(@Param('id') id: string): Promise<JobView> {
    return toView(await this.queue.retry(id));
  }

  @Delete(':id')
  @HttpCode(204)
  @Documented({
    summary: 'Remove a job for good',
    params: { id: uuid },
    errors: { CONFLICT: 'The job is running.' },
  })
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
