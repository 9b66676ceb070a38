import { describe, expect, it } from 'vitest';
import { Batcher } from './batcher.js';

describe('Batcher', () => {
  it('does what comes while it is busy together, in order, and gives each caller its result', async () => {
    const batches: number[][] = [];
    const batcher = new Batcher<number, string>((items) => {
      batches.push([...items]);
      return Promise.resolve(items.map((item) => `r${item}`));
    }, 0);
    expect(await Promise.all([1, 2, 3].map((n) => batcher.add(n)))).toEqual(['r1', 'r2', 'r3']);
    expect(await batcher.add(4)).toBe('r4');
    expect(batches).toEqual([[1, 2, 3], [4]]);
  });

  it('tells a failure to those of its batch alone', async () => {
    const batcher = new Batcher<number>((items) => {
      return items.includes(2) ? Promise.reject(new Error('two')) : Promise.resolve([]);
    }, 0);
    const outcomes = await Promise.allSettled([batcher.add(1), batcher.add(2)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(batcher.add(3)).resolves.toBeUndefined();
  });
});
