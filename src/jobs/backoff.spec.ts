import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.js';

describe('backoffMs', () => {
  const bound = (failures: number, backoff = {}) => backoffMs(backoff, failures, () => 1);

  it('doubles the bound from a second on, up to the cap', () => {
    expect([1, 2, 3, 4].map((failures) => bound(failures))).toEqual([1000, 2000, 4000, 8000]);
    expect(bound(40)).toBe(3_600_000);
    expect(bound(5000)).toBe(3_600_000);
    expect(bound(3, { baseMs: 10, factor: 3, capMs: 50 })).toBe(50);
  });

  it('draws from the whole range below the bound', () => {
    expect(backoffMs({}, 3, () => 0)).toBe(0);
    expect(backoffMs({}, 3, () => 0.25)).toBe(1000);
  });

  it('follows an explicit schedule exactly and repeats its end', () => {
    const schedule = { scheduleMs: [5, 50, 500] };
    expect([1, 2, 3, 4, 9].map((failures) => backoffMs(schedule, failures, () => 0.5))).toEqual([5, 50, 500, 500, 500]);
    expect(backoffMs({ scheduleMs: [] }, 1, Math.random)).toBe(0);
  });
});
