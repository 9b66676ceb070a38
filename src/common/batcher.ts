import { setImmediate, setTimeout as pause } from 'node:timers/promises';

/**
 * Does for many callers at once what costs about the same for one: at once when it is quiet, and what comes while it is
 * busy in one go.
 *
 * Work that blocks the event loop, as SQLite's does, would otherwise find one item each time: nothing arrives while it
 * works. So each batch lets the event loop turn first, and follows the end of the one before it after `pauseMs`.
 */
export class Batcher<T, R = void> {
  private waiting: { item: T; resolve: (result: R) => void; reject: (error: unknown) => void }[] = [];
  private busy = false;
  private endedAt = Number.NEGATIVE_INFINITY;

  /** @param run - returns the results in the order of the items. */
  constructor(
    private readonly run: (items: readonly T[]) => Promise<readonly R[]>,
    private readonly pauseMs: number,
  ) {}

  /** Resolves with the item's result. @throws what the run of its batch throws. */
  add(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      if (!this.busy) void this.runAll();
    });
  }

  private async runAll(): Promise<void> {
    this.busy = true;
    while (this.waiting.length > 0) {
      const left = this.endedAt + this.pauseMs - performance.now();
      await (left > 0 ? pause(left) : setImmediate());
      const batch = this.waiting.splice(0);
      try {
        const results = await this.run(batch.map(({ item }) => item));
        batch.forEach(({ resolve }, at) => resolve(results[at] as R));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      this.endedAt = performance.now();
    }
    this.busy = false;
  }
}
