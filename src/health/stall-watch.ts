/** Notices a reader that is behind and does not move; looked at with every probe. */
export class StallWatch {
  private position = -1;
  /** Since when it was seen behind at this position; undefined while it is not. */
  private behindSince: number | undefined;

  /** @param limitMs - how long a reader may stay where it is while there is more to read. */
  constructor(private readonly limitMs: number) {}

  /** @throws Error when the reader stands still. @param now - in ms, of a clock that only goes forward. */
  look(position: number, head: number, now: number): void {
    if (position >= head) this.behindSince = undefined;
    else if (position !== this.position || this.behindSince === undefined) this.behindSince = now;
    else if (now - this.behindSince > this.limitMs) {
      throw new Error(`It stands at ${position} of ${head} for ${Math.round((now - this.behindSince) / 1000)} s`);
    }
    this.position = position;
  }
}
