/** The job types of extensions, by declaration merging: name to payload. */
// Empty on purpose: this room knows no extension.
// oxlint-disable-next-line typescript/no-empty-object-type
export interface ExtensionJobs {}

/**
 * The map of job types: name to payload. A module adds its own by declaration merging, and declares them at run time
 * with `JobsModule.forFeature`.
 *
 * @example
 * ```ts
 * declare module '../jobs/job-types.js' {
 *   interface JobTypes { 'report.build': { month: string } }
 * }
 * ```
 */
// Empty on purpose: this room knows no feature.
// oxlint-disable-next-line typescript/no-empty-object-type
export interface JobTypes extends ExtensionJobs {}

/** The name of a job type. */
export type JobType = Extract<keyof JobTypes, string>;

/** The states of a job; `failed` will run again, `dead` waits for a person. */
export const JOB_STATES = ['pending', 'processing', 'completed', 'failed', 'dead'] as const;

/** One of the five states. */
export type JobState = (typeof JOB_STATES)[number];

/** How long to wait after a failed attempt: a random time up to a growing bound, or a list of fixed times. */
export type Backoff =
  | {
      /** The bound after the first failure, in ms. @default 1000 */
      baseMs?: number;
      /** What the bound is multiplied with after each further failure. @default 2 */
      factor?: number;
      /** The highest bound, in ms. @default 3_600_000 */
      capMs?: number;
    }
  | {
      /** The pause after each failure, in ms; the last one repeats. */
      scheduleMs: readonly number[];
    };

/** How the jobs of one type are run. */
export interface JobTypeOptions {
  /** Failed attempts after which a job is dead; a crash of the process is not counted among them. @default 10 */
  maxAttempts?: number;
  /** The pause between attempts. @default full jitter: random × min(1 h, 1 s × 2^(failures − 1)) */
  backoff?: Backoff;
  /** After how many ms an attempt is given up: its signal aborts and it counts as failed. @default 30_000 */
  timeoutMs?: number;
  /** Jobs of this type that run at once. @default `JOBS_CONCURRENCY` */
  concurrency?: number;
  /** Jobs of one `group` of this type that run at once. @default no limit of its own */
  groupConcurrency?: number;
  /** Order within the type, higher first, for jobs submitted without a priority of their own. @default 0 */
  priority?: number;
  /** Crashes of the process while a job runs, after which that job is dead. @default 5 */
  maxCrashes?: number;
}

/** How one job is run. */
export interface JobOptions {
  /** Earliest start, in ms from now. @default 0 */
  delayMs?: number;
  /** While a job of the same type and key waits or runs, submitting another one adds nothing. */
  uniqueKey?: string;
  /** Jobs of one group share the type's `groupConcurrency`; a slow group does not delay the others. @default '' */
  group?: string;
  /** Overrides the type's priority. */
  priority?: number;
  /** The event that is the reason for it, for its trace. @default the reason for the job that submits this one */
  eventId?: string;
}

/** What a handler is told beside its payload. */
export interface JobContext {
  id: string;
  /** 1 for the first attempt. An attempt that a crash ended is counted, so a second look may be worth it past 1. */
  attempt: number;
  /** How often the process has ended while this job ran. */
  crashes: number;
  /** Aborts at the timeout, and when a shutdown can wait no longer. */
  signal: AbortSignal;
  /**
   * Completes the job with the current unit of work: what the handler wrote there and the completion commit together,
   * so that a crash can repeat neither alone.
   *
   * @throws JobLeaseLostError when the attempt was given up in the meantime; the unit then rolls back.
   */
  complete: () => Promise<void>;
}

/** Thrown by a handler that knows that no further attempt can succeed: the job is dead at once. */
export class UnrecoverableJobError extends Error {
  override readonly name = 'UnrecoverableJobError';
}

/** Thrown by a handler that was told how long to wait: the next attempt comes no sooner, and later where backoff says so. */
export class RetryAfterError extends Error {
  override readonly name = 'RetryAfterError';

  constructor(
    message: string,
    /** From now. */
    readonly delayMs: number,
  ) {
    super(message);
  }
}

/** Thrown at an attempt that was given up (timeout, shutdown) and still wants to complete its job. */
export class JobLeaseLostError extends Error {
  override readonly name = 'JobLeaseLostError';
}

/** One attempt that did not succeed. */
export interface FailedAttempt {
  attempt: number;
  /** When it started, in epoch ms. */
  at: number;
  error: string;
}
