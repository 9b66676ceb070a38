import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Turns } from './turns.js';

/** Keeps the process busy, as a synchronous query does. */
function work(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until;);
}

it('does as many pieces at a time as it may, in the order they came, whatever becomes of them', async () => {
  const turns = new Turns(5, 1);
  const log: string[] = [];
  const piece = (name: string) =>
    turns.run(async () => {
      log.push(`${name} begins`);
      await sleep(1);
      log.push(`${name} ends`);
      if (name === 'b') throw new Error('b failed');
      return name;
    });
  const results = await Promise.allSettled([piece('a'), piece('b'), piece('c')]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);

  let [running, most] = [0, 0];
  const three = new Turns(5, 3);
  const one = () =>
    three.run(async () => {
      running += 1;
      most = Math.max(most, running);
      await sleep(1);
      running -= 1;
    });
  await Promise.all(Array.from({ length: 20 }, one));
  expect([running, most]).toEqual([0, 3]);
});

it('lets others have their turn once a turn is used up', async () => {
  const turns = new Turns(2, 1);
  let done = 0;
  const all = Promise.all(
    Array.from({ length: 20 }, () =>
      turns.run(() => {
        work(1);
        done += 1;
      }),
    ),
  );
  const seen = await new Promise<number>((resolve) => setTimeout(() => resolve(done), 0));
  expect(seen).toBeLessThan(20);
  await all;
  expect(done).toBe(20);
});
