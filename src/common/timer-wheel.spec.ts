import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../test/support/random.js';
import { TimerWheel } from './timer-wheel.js';

const SEED = Number(process.env['WHEEL_SEED'] ?? randomInt(2 ** 31));
const TICK_MS = 100;

describe(`a timer wheel (WHEEL_SEED=${SEED})`, () => {
  it('gives every item once, never early and at most a tick late, whatever was set, moved and taken back', () => {
    const random = seededRandom(SEED);
    const upTo = (below: number) => Math.floor(random() * below);
    for (let run = 0; run < 10; run += 1) {
      let now = 1_000_000 + upTo(1000);
      const wheel = new TimerWheel<number>(TICK_MS, 16, now);
      const due = new Map<number, number>();
      for (let step = 0; step < 500; step += 1) {
        const item = upTo(30);
        if (upTo(4) === 0) {
          wheel.delete(item);
          due.delete(item);
        } else {
          const at = now + upTo(4000) - 200;
          wheel.set(item, at);
          // What is overdue when it is set is due at once.
          due.set(item, Math.max(at, now));
        }
        // Now and then the process was held up for longer than the wheel takes to turn.
        now += upTo(20) === 0 ? upTo(5000) : upTo(150);
        const taken = wheel.take(now);
        expect(new Set(taken).size).toBe(taken.length);
        for (const one of taken) {
          expect(due.get(one)).toBeLessThanOrEqual(now);
          due.delete(one);
        }
        for (const at of due.values()) expect(at, `run ${run}, step ${step}`).toBeGreaterThan(now - 2 * TICK_MS);
      }
    }
  });

  it('never gives what is due at infinity', () => {
    const wheel = new TimerWheel<string>(TICK_MS, 4, 0);
    wheel.set('a', 500);
    wheel.set('a', Number.POSITIVE_INFINITY);
    expect(wheel.take(1e9)).toEqual([]);
  });

  it('goes on when the clock is set back', () => {
    const wheel = new TimerWheel<string>(TICK_MS, 4, 10_000);
    wheel.set('a', 10_250);
    expect(wheel.take(5000)).toEqual([]);
    wheel.set('b', 5200);
    expect(wheel.take(5300)).toEqual(['b']);
    expect(wheel.take(10_300)).toEqual(['a']);
  });
});
