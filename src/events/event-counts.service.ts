import { Injectable } from '@nestjs/common';
import { MinuteCounts, type MinuteCount } from '../common/minute-counts.js';
import { lowestIdAt } from '../common/time-ids.js';
import { HotQueries } from '../database/hot-queries.service.js';

/** The journal's ids rise with time and have an index; those of acts begin otherwise. */
export const EVENTS_BY_TYPE = `SELECT type, COUNT(*) AS count FROM events WHERE id >= ? AND id < ? GROUP BY type`;
/** An event has its id before its commit. */
const SETTLE_MS = 15_000;

/** Counts the events of the last hour by minute and type. */
@Injectable()
export class EventCounts {
  private readonly minutes: MinuteCounts;

  constructor(hot: HotQueries) {
    const count = hot.prepare<{ type: string; count: number }>(EVENTS_BY_TYPE);
    this.minutes = new MinuteCounts(async (from, to) => {
      const rows = await count(`evt-${lowestIdAt(from)}`, `evt-${lowestIdAt(to)}`);
      return Object.fromEntries(rows.map((row) => [row.type, row.count]));
    }, SETTLE_MS);
  }

  /** Returns every minute of the last hour, the oldest first. */
  ofLastHour(now: number): Promise<MinuteCount[]> {
    return this.minutes.ofLastHour(now);
  }
}
