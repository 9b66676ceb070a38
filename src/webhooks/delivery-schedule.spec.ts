import { describe, expect, it } from 'vitest';
import { afterAttempt, parseRetryAfter, type AttemptResult } from './delivery-schedule.js';

const NOW = 1_000_000;
const SCHEDULE = [0, 5000, 300_000];
const fresh = { attempts: 0, step: 0, hostFailures: 0, retries: true };
const result = (outcome: AttemptResult['outcome'], retryAfterMs: number | null = null): AttemptResult => ({
  outcome,
  retryAfterMs,
  at: NOW,
  durationMs: 1,
  status: null,
  response: null,
  error: null,
});
/** In the middle of the jitter. */
const after = (delivery: typeof fresh, attempt: AttemptResult, random = 0.5) =>
  afterAttempt(delivery, attempt, SCHEDULE, NOW, () => random);

describe('afterAttempt', () => {
  it('walks the schedule, one entry an attempt, and is dead after the last', () => {
    const first = after(fresh, result('failed'));
    expect(first).toMatchObject({ status: 'pending', attempts: 1, step: 1, nextAttemptAt: NOW + 5000 });
    const second = after({ ...fresh, ...first }, result('failed'));
    expect(second).toMatchObject({ status: 'pending', attempts: 2, step: 2, nextAttemptAt: NOW + 300_000 });
    expect(after({ ...fresh, ...second }, result('failed'))).toMatchObject({
      status: 'dead',
      attempts: 3,
      nextAttemptAt: null,
      finishedAt: NOW,
    });
  });

  it('ends with a success, a 410 and a test’s one attempt', () => {
    expect(after(fresh, result('delivered'))).toMatchObject({ status: 'delivered', attempts: 1, nextAttemptAt: null });
    expect(after(fresh, result('gone')).status).toBe('dead');
    expect(after({ ...fresh, retries: false }, result('failed')).status).toBe('dead');
  });

  it('waits at least as long as Retry-After says, at most a day, and never shorter than the schedule', () => {
    expect(after(fresh, result('failed', 60_000), 0).nextAttemptAt).toBe(NOW + 60_000);
    expect(after(fresh, result('failed', 1000)).nextAttemptAt).toBe(NOW + 5000);
    expect(after(fresh, result('failed', 10 ** 12)).nextAttemptAt).toBe(NOW + 86_400_000);
  });

  it('uses nothing of the schedule up for what was this host’s fault, and waits longer each time', () => {
    const first = after({ ...fresh, step: 2 }, result('host'));
    expect(first).toMatchObject({ status: 'pending', attempts: 1, step: 2, nextAttemptAt: NOW + 5000 });
    expect(after({ ...fresh, ...first }, result('host')).nextAttemptAt).toBe(NOW + 10_000);
    expect(after({ ...fresh, hostFailures: 32 }, result('host')).nextAttemptAt).toBe(NOW + 3_600_000);
    expect(after({ ...fresh, ...first }, result('failed'))).toMatchObject({ status: 'dead' });
  });

  it('takes what fails here for a day for the endpoint’s fault, and ends', () => {
    let delivery = { ...fresh };
    let progress = after(delivery, result('host'));
    let elapsed = 0;
    for (let n = 1; progress.status === 'pending'; n += 1) {
      expect(n).toBeLessThan(50);
      elapsed += (progress.nextAttemptAt ?? 0) - NOW;
      delivery = { ...progress, retries: true };
      progress = after(delivery, result('host'));
    }
    expect(progress.status).toBe('dead');
    expect(elapsed).toBeGreaterThan(86_400_000);
  });

  it('varies the pause by a tenth up and down', () => {
    expect([0, 1].map((random) => after(fresh, result('failed'), random).nextAttemptAt)).toEqual([
      NOW + 4500,
      NOW + 5500,
    ]);
  });
});

describe('parseRetryAfter', () => {
  it.each([
    ['120', 120_000],
    [new Date(NOW + 7000).toUTCString(), 7000],
    [new Date(NOW - 7000).toUTCString(), 0],
    ['soon', null],
    [undefined, null],
  ])('reads %s as %s', (header, ms) => {
    expect(parseRetryAfter(header, NOW)).toBe(ms);
  });
});
