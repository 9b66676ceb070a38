import type { Backoff } from './job-types.js';

const HOUR_MS = 3_600_000;

/**
 * Returns how long to wait after a failed attempt, in ms.
 *
 * Full jitter: uniform between 0 and `min(cap, base × factor^(failures − 1))`, which spreads the retries of jobs that
 * failed together better than any narrower band ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 *
 * @param failures - 1 after the first failed attempt.
 * @param random - uniform in [0, 1).
 */
export function backoffMs(backoff: Backoff, failures: number, random: () => number): number {
  if ('scheduleMs' in backoff) return backoff.scheduleMs[Math.min(failures, backoff.scheduleMs.length) - 1] ?? 0;
  const { baseMs = 1000, factor = 2, capMs = HOUR_MS } = backoff;
  return Math.round(random() * Math.min(capMs, baseMs * factor ** (failures - 1)));
}
