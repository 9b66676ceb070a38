import type { FailedAttempt } from './job-types.js';

/** How many of the latest failed attempts a job remembers. */
const MAX_HISTORY = 50;

/** A queue within the queue: jobs that compete with nobody but each other, in the order of `runAt`. */
export interface Lane {
  type: string;
  group: string;
  priority: number;
}

/** A lane and the time at which its next job is due, in epoch ms. */
export interface DueLane extends Lane {
  dueAt: number;
  /** Set for a job that is claimed alone. */
  suspect?: boolean;
}

/** A job as it is submitted. */
export interface NewJob extends Lane {
  /** JSON text. */
  payload: string;
  runAt: number;
  uniqueKey: string | null;
  eventId: string | null;
}

/** A job that this process has claimed. */
export interface ClaimedJob extends Lane {
  id: string;
  lease: string;
  payload: unknown;
  eventId: string | null;
  attempt: number;
  crashes: number;
  /** When it was due, and when it was claimed. */
  runAt: number;
  startedAt: number;
  history: FailedAttempt[];
}

/** How an attempt ended. */
export interface Outcome {
  job: ClaimedJob;
  /** `returned`: it never ran to its end and is not counted. */
  end: 'completed' | 'failed' | 'dead' | 'returned';
  /** When to run again, for `failed` and `returned`. */
  runAt?: number;
  error?: string;
}

/** Says whether a job is claimed alone, because it ran in two crashes. */
export function isSuspect({ crashes }: { crashes: number }): boolean {
  return crashes >= 2;
}

/** Returns the history of a job whose attempt did not succeed. */
export function withFailure({ history, attempt, startedAt }: ClaimedJob, error: string): FailedAttempt[] {
  return [...history, { attempt, at: startedAt, error }].slice(-MAX_HISTORY);
}
