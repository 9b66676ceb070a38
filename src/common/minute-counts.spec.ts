import { describe, expect, it } from 'vitest';
import { MinuteCounts } from './minute-counts.js';

const MINUTE = 60_000;
const NOW = 1_795_515_843_765;
const THIS_MINUTE = Math.floor(NOW / MINUTE) * MINUTE;

function counter(settleMs: number) {
  const asked: number[] = [];
  const counts = new MinuteCounts((from, to) => {
    expect(to - from).toBe(MINUTE);
    asked.push(from);
    return Promise.resolve({ seen: asked.length });
  }, settleMs);
  return { asked, counts };
}

describe('MinuteCounts', () => {
  it('returns sixty minutes, the present one last', async () => {
    const minutes = await counter(0).counts.ofLastHour(NOW);
    expect(minutes).toHaveLength(60);
    expect(minutes.at(0)?.at).toBe(THIS_MINUTE - 59 * MINUTE);
    expect(minutes.at(-1)?.at).toBe(THIS_MINUTE);
  });

  it('counts a minute that is over once, and what may still change again', async () => {
    const { asked, counts } = counter(10_000);
    await counts.ofLastHour(THIS_MINUTE + 5000);
    asked.length = 0;
    await counts.ofLastHour(THIS_MINUTE + 15_000);
    expect(asked).toEqual([THIS_MINUTE - MINUTE, THIS_MINUTE]);
    asked.length = 0;
    const minutes = await counts.ofLastHour(THIS_MINUTE + 20_000);
    expect(asked).toEqual([THIS_MINUTE]);
    expect(minutes).toHaveLength(60);
  });

  it('keeps nothing that is older than an hour', async () => {
    const { asked, counts } = counter(0);
    await counts.ofLastHour(NOW);
    await counts.ofLastHour(NOW + 120 * MINUTE);
    asked.length = 0;
    await counts.ofLastHour(NOW);
    expect(asked).toHaveLength(60);
  });
});
