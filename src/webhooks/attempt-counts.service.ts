import { Injectable } from '@nestjs/common';
import { MinuteCounts, type MinuteCount } from '../common/minute-counts.js';
import { Config } from '../config/config.js';
import { HotQueries } from '../database/hot-queries.service.js';

/** Answered by an index alone. */
export const ATTEMPTS_BY_OUTCOME = `
  SELECT CASE WHEN status BETWEEN 200 AND 299 THEN 'delivered' ELSE 'failed' END AS outcome, COUNT(*) AS count
  FROM webhook_attempts WHERE at >= ? AND at < ? GROUP BY 1`;
/** An attempt is written down at its end, under the time of its beginning. */
const WRITING_MS = 15_000;

/** Counts the webhook requests of the last hour by minute and outcome. */
@Injectable()
export class AttemptCounts {
  private readonly minutes: MinuteCounts;

  constructor(hot: HotQueries, { WEBHOOK_TIMEOUT_MS }: Config) {
    const count = hot.prepare<{ outcome: string; count: number }>(ATTEMPTS_BY_OUTCOME);
    this.minutes = new MinuteCounts(async (from, to) => {
      const rows = await count(from, to);
      return Object.fromEntries(rows.map((row) => [row.outcome, row.count]));
    }, WEBHOOK_TIMEOUT_MS + WRITING_MS);
  }

  /** Returns every minute of the last hour, the oldest first; its kinds are `delivered` and `failed`. */
  ofLastHour(now: number): Promise<MinuteCount[]> {
    return this.minutes.ofLastHour(now);
  }
}
