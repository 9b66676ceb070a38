import { z } from 'zod';
import { count, epochMs, uuid } from '../common/fields.js';
import { statsView } from '../jobs/jobs.schemas.js';

const perMinute = (kinds: Record<string, number>) =>
  z.array(
    z.strictObject({
      at: epochMs.meta({ description: 'When the minute began.' }),
      counts: z.record(z.string(), z.int().min(0)).meta({ examples: [kinds] }),
    }),
  );

/** How the service does, at one time. */
export const overviewView = z
  .strictObject({
    now: epochMs,
    version: z.string().meta({ examples: ['0.1.0'] }),
    uptimeSeconds: count,
    jobs: statsView,
    deadJobs: z
      .array(z.strictObject({ type: z.string().meta({ examples: ['mail.send'] }), count }))
      .meta({ description: 'The types with the most dead jobs.' }),
    endpoints: z.strictObject({
      total: count,
      inTrouble: z
        .array(
          z.strictObject({
            id: uuid,
            // The host alone: the rest of a URL may be a secret, and takes `webhooks:manage`.
            host: z.string().meta({ examples: ['hooks.example.com'] }),
            disabledAt: epochMs.nullable(),
            disabledReason: z
              .string()
              .nullable()
              .meta({ examples: ['Disabled by an admin'] }),
            failingSince: epochMs.nullable(),
          }),
        )
        .meta({ description: 'Those that are disabled, or whose requests fail.' }),
    }),
    locks: z
      .strictObject({
        count,
        first: z.array(z.strictObject({ subject: z.string().meta({ examples: ['ada@example.com'] }), until: epochMs })),
      })
      .meta({ description: 'Addresses and accounts that are locked after too many failures.' }),
    reconciliation: z
      .strictObject({
        checkedAt: epochMs,
        counts: z.record(z.string(), z.int()).meta({ examples: [{ events_without_jobs: 0 }] }),
      })
      .nullable()
      .meta({ description: 'What should not be there, as it was counted last; null before the first time.' }),
    connections: z.strictObject({ websocket: count, sse: count }),
    eventsPerMinute: perMinute({ 'login.success': 3 }).meta({ description: 'Events of the last hour, by type.' }),
    attemptsPerMinute: perMinute({ delivered: 3, failed: 0 }).meta({
      description: 'Webhook requests of the last hour, by outcome.',
    }),
    latency: z
      .array(
        z.strictObject({
          leMs: z
            .number()
            .nullable()
            .meta({ examples: [5] }),
          count,
        }),
      )
      .meta({
        description:
          'Events since the start that took at most so many ms from their commit to every socket; null is the last, all of them.',
      }),
    readerLag: z.record(z.string(), z.int().min(0)).meta({
      description: 'Events that each reader of the journal is not done with.',
      examples: [{ live: 0, webhooks: 0 }],
    }),
  })
  .meta({ id: 'Overview' });
/** How the service does, at one time. */
export type Overview = z.infer<typeof overviewView>;
