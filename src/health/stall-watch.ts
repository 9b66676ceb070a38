/** Notices a reader that is behind and does not move; looked at with every probe. */
export class StallWatch {
  private position = -1;
  private movedAt = 0;

  /** @param limitMs - how long a reader may stay where it is while there is more to read. */
  constructor(private readonly limitMs: number) {}

  /** @throws Error when the reader stands still. @param now - in ms, of a clock that only goes forward. */
  look(position: number, head: number, now: number): void {
    if (position !== this.position || position >= head) {
      this.position = position;
      this.movedAt = now;
    } else if (now - this.movedAt > this.limitMs) {
      throw new Error(`It stands at ${position} of ${head} for ${Math.round((now - this.movedAt) / 1000)} s`);
    }
  }
}
