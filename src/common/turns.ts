import { setImmediate } from 'node:timers/promises';

/**
 * Lets pieces of long work have their turns, first come first served, one at a time, and everything else in the process
 * its turn in between.
 */
export class Turns {
  private last: Promise<void> = Promise.resolve();
  private begunAt = Number.NEGATIVE_INFINITY;

  /** @param turnMs - how long the work may keep everything else waiting. */
  constructor(private readonly turnMs: number) {}

  /** Does one piece when its turn has come. */
  async run<T>(work: () => Promise<T> | T): Promise<T> {
    const before = this.last;
    let done = (): void => undefined;
    this.last = new Promise((resolve) => (done = resolve));
    await before;
    try {
      if (performance.now() - this.begunAt > this.turnMs) {
        await setImmediate();
        this.begunAt = performance.now();
      }
      return await work();
    } finally {
      done();
    }
  }
}
