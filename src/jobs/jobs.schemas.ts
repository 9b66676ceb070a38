import { z } from 'zod';
import { count, epochMs, uuid } from '../common/fields.js';
import { pageOf, pageQuery } from '../common/pagination.js';
import { JOB_STATES } from './job-types.js';

const status = z
  .enum(JOB_STATES)
  .meta({ id: 'JobStatus', description: '`failed` will run again, `dead` waits for a person.' });
const type = z.string().meta({ description: 'A type of job.', examples: ['auth.forgot-password'] });

export const listQuery = z.strictObject({
  status: status.optional().meta({ examples: ['dead'] }),
  type: type.optional(),
  ...pageQuery,
});
export const redriveBody = z.strictObject({ type });

/** How many jobs there are in each state. */
export const statsView = z
  .strictObject({ pending: count, processing: count, completed: count, failed: count, dead: count })
  .meta({ id: 'JobStats' });

export const typesAnswer = z.strictObject({ types: z.array(statsView.extend({ type })) });

/** A job as admins see it. */
export const jobView = z
  .strictObject({
    id: uuid,
    type,
    status: status.meta({ examples: ['dead'] }),
    priority: z.int().meta({ examples: [0] }),
    group: z.string().meta({ description: 'Jobs of one group share a limit; empty without one.', examples: [''] }),
    uniqueKey: z
      .string()
      .nullable()
      .meta({ examples: [null] }),
    attempts: count,
    crashes: count.meta({ description: 'Attempts that ended with the process.', examples: [0] }),
    runAt: epochMs.nullable().meta({
      description: 'Earliest start of the next attempt; null for a job that runs or has ended.',
      examples: [null],
    }),
    createdAt: epochMs,
    startedAt: epochMs.nullable(),
    finishedAt: epochMs.nullable(),
    failures: z
      .array(
        z.strictObject({ attempt: count, at: epochMs, error: z.string().meta({ examples: ['connect ECONNREFUSED'] }) }),
      )
      .meta({ description: 'The attempts that did not succeed, oldest first.' }),
  })
  .meta({ id: 'Job' });
/** A job as admins see it. */
export type JobView = z.infer<typeof jobView>;

export const jobPage = pageOf(jobView);
export const jobWithPayload = jobView.extend({
  payload: z.unknown().meta({ description: 'As the type says.', examples: [{ email: 'ada@example.com' }] }),
});
export const redriveAnswer = z.strictObject({ redriven: count });
