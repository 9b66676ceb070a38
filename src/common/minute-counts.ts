import { setImmediate } from 'node:timers/promises';

const MINUTE_MS = 60_000;
const MINUTES = 60;

/** How often something happened in a minute, by its kind. */
export interface MinuteCount {
  /** When the minute began, in epoch ms. */
  at: number;
  counts: Record<string, number>;
}

/** Counts what happened in the minutes of the last hour, each of them once: a minute that is over does not change. */
export class MinuteCounts {
  private kept = new Map<number, Record<string, number>>();

  /**
   * @param count - counts from a time to another, exclusive, in epoch ms.
   * @param settleMs - how long after its end a minute may still change.
   */
  constructor(
    private readonly count: (from: number, to: number) => Promise<Record<string, number>>,
    private readonly settleMs: number,
  ) {}

  /** Returns every minute of the hour that ends now, the oldest first; the last one goes on. */
  async ofLastHour(now: number): Promise<MinuteCount[]> {
    const last = Math.floor(now / MINUTE_MS) * MINUTE_MS;
    const known = this.kept;
    const minutes: MinuteCount[] = [];
    this.kept = new Map();
    for (let at = last - (MINUTES - 1) * MINUTE_MS; at <= last; at += MINUTE_MS) {
      let counts = known.get(at);
      if (!counts) {
        counts = await this.count(at, at + MINUTE_MS);
        // Sixty of them in one go, after a start, would let nobody else have a turn.
        await setImmediate();
      }
      minutes.push({ at, counts });
      if (at + MINUTE_MS + this.settleMs <= now) this.kept.set(at, counts);
    }
    return minutes;
  }
}
