import { describe, expect, it } from 'vitest';
import { between, quantile } from './latency.js';

const buckets = (...counts: number[]) => [1, 5, 10, null].map((leMs, at) => ({ leMs, count: counts[at] ?? 0 }));

describe('latency', () => {
  it('has no quantile without an event', () => expect(quantile(buckets(), 0.5)).toBeNull());

  it('spreads events evenly within a bucket', () => {
    expect(quantile(buckets(0, 100, 100, 100), 0.5)).toBe(3);
    expect(quantile(buckets(100, 100, 100, 100), 0.99)).toBeCloseTo(0.99);
    expect(quantile(buckets(50, 50, 100, 100), 0.75)).toBe(7.5);
  });

  it('gives the highest bound for what is beyond it', () => expect(quantile(buckets(0, 0, 0, 9), 0.5)).toBe(10));

  it('tells what happened between two snapshots', () => {
    expect(between(buckets(1, 2, 3, 4), buckets(1, 3, 5, 7))).toEqual(buckets(0, 1, 2, 3));
  });

  it('takes the later snapshot alone after a new start', () => {
    expect(between(buckets(9, 9, 9, 9), buckets(1, 1, 1, 1))).toEqual(buckets(1, 1, 1, 1));
  });
});
