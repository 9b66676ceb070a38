import type { DeliveryStatus } from './webhook-delivery.entity.js';

/** Failing for so long without a success in between disables an endpoint. */
export const MAX_FAILING_MS = 5 * 86_400_000;
/** The longest pause that a receiver's Retry-After can ask for. */
const MAX_RETRY_AFTER_MS = 86_400_000;
const FIRST_HOST_PAUSE_MS = 5000;
const MAX_HOST_PAUSE_MS = 3_600_000;
/** Pauses vary by this share up and down, so that deliveries that failed together do not return together. */
const JITTER = 0.1;

/** Failures in a row that are this host's own fault, at most: a name or a route that is gone for a day is the endpoint's. */
const MAX_HOST_FAILURES = 33;

/** How one attempt ended: `host` means that this host could not try. */
export interface AttemptResult {
  outcome: 'delivered' | 'failed' | 'gone' | 'host';
  at: number;
  durationMs: number;
  status: number | null;
  response: string | null;
  error: string | null;
  /** What the receiver's Retry-After asks for. */
  retryAfterMs: number | null;
}

/** The part of a delivery that an attempt changes. */
export interface DeliveryProgress {
  status: DeliveryStatus;
  attempts: number;
  step: number;
  hostFailures: number;
  nextAttemptAt: number | null;
  finishedAt: number | null;
}

/** Says whose fault a failure was: what this host fails for too long counts as the endpoint's. */
export function outcomeFor(delivery: { hostFailures: number }, { outcome }: AttemptResult): AttemptResult['outcome'] {
  return outcome === 'host' && delivery.hostFailures >= MAX_HOST_FAILURES ? 'failed' : outcome;
}

/**
 * Returns what a delivery is after an attempt.
 *
 * @param schedule - the pause before each attempt, in ms; the delivery is dead when it is used up.
 * @param random - uniform in [0, 1).
 */
export function afterAttempt(
  delivery: { attempts: number; step: number; hostFailures: number; retries: boolean },
  result: AttemptResult,
  schedule: readonly number[],
  now: number,
  random: () => number,
): DeliveryProgress {
  const attempts = delivery.attempts + 1;
  const ended = (status: DeliveryStatus): DeliveryProgress => {
    const { step } = delivery;
    return { status, attempts, step, hostFailures: 0, nextAttemptAt: null, finishedAt: now };
  };
  const again = (step: number, hostFailures: number, pauseMs: number): DeliveryProgress => {
    const jittered = Math.round(pauseMs * (1 - JITTER + 2 * JITTER * random()));
    return { status: 'pending', attempts, step, hostFailures, nextAttemptAt: now + jittered, finishedAt: null };
  };
  const outcome = outcomeFor(delivery, result);
  if (outcome === 'delivered') return ended('delivered');
  if (outcome === 'gone' || !delivery.retries) return ended('dead');
  if (outcome === 'host') {
    const pauseMs = Math.min(MAX_HOST_PAUSE_MS, FIRST_HOST_PAUSE_MS * 2 ** Math.min(20, delivery.hostFailures));
    return again(delivery.step, delivery.hostFailures + 1, pauseMs);
  }
  const step = delivery.step + 1;
  const pauseMs = schedule[step];
  if (pauseMs === undefined) return ended('dead');
  const progress = again(step, result.outcome === 'host' ? delivery.hostFailures : 0, pauseMs);
  // Never earlier than asked for: jitter is for the pauses of our own choice.
  const earliest = now + Math.min(MAX_RETRY_AFTER_MS, result.retryAfterMs ?? 0);
  return { ...progress, nextAttemptAt: Math.max(progress.nextAttemptAt ?? 0, earliest) };
}

/** Reads a Retry-After header, seconds or a date (RFC 9110 §10.2.3), as ms from now; null for anything else. */
export function parseRetryAfter(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
