import { setImmediate } from 'node:timers/promises';

/**
 * Lets pieces of long work have their turns, first come first served and few at a time, and everything else in the process
 * its turn in between.
 */
export class Turns {
  private readonly waiting: (() => void)[] = [];
  private running = 0;
  private begunAt = Number.NEGATIVE_INFINITY;

  /**
   * @param turnMs - how long the work may keep everything else waiting.
   * @param atOnce - how many pieces may be under way, some of them waiting for something.
   */
  constructor(
    private readonly turnMs: number,
    private readonly atOnce: number,
  ) {}

  /** Does one piece when its turn has come. */
  async run<T>(work: () => Promise<T> | T): Promise<T> {
    // Whoever ends hands its place on.
    if (this.running === this.atOnce) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running += 1;
    try {
      while (performance.now() - this.begunAt > this.turnMs) {
        const { begunAt } = this;
        await setImmediate();
        // Of those that waited together the first begins the turn, and the others look whether it is used up.
        if (this.begunAt === begunAt) this.begunAt = performance.now();
      }
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running -= 1;
    }
  }
}
