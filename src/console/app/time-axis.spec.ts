import { describe, expect, it } from 'vitest';
import { TIME_STEPS, timeOfDay, timeRange } from './time-axis.js';

/** A midnight without a change of the clock in the half day after it. */
const START = new Date(2026, 6, 2, 0, 0, 0).getTime() / 1000;

describe('the axis of times', () => {
  it.each(['lines', 'stack'] as const)(
    'repeats no label within half a day, however close the labels of %s are',
    (kind) => {
      for (const step of TIME_STEPS[kind]) {
        const times = Array.from({ length: Math.ceil(Math.min(1000, 43_200 / step)) }, (_, n) => START + n * step);
        expect(new Set(times.map((at) => timeOfDay(at, kind))).size, `every ${step} s`).toBe(times.length);
      }
    },
  );

  it('has room for two labels from the first moment on', () => {
    expect(timeRange([START], 'lines')).toEqual([START, START + 60]);
    expect(timeRange([START, START + 0.4], 'lines')).toEqual([START, START + 60]);
  });

  it('has no range without a moment', () => expect(timeRange([], 'lines')).toEqual([null, null]));

  it('ends with the last moment of lines, and after the last bar', () => {
    expect(timeRange([START, START + 300, START + 600], 'lines')).toEqual([START, START + 600]);
    expect(timeRange([START, START + 300, START + 600], 'stack')).toEqual([START, START + 660]);
  });
});
