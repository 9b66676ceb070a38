import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Batcher } from '../common/batcher.js';
import { Housekeeping } from './housekeeping.service.js';
import { isPostgres } from './sql.js';
import { WRITER } from './unit-of-work.js';

/** How often somebody has asked within a window, this time included, and when the window ends, in ms. */
export interface RateLimitCount {
  current: number;
  ttl: number;
}

interface Asked {
  key: string;
  windowMs: number;
}

/** Adds to counts, or begins them anew; in the order of the keys, so that two instances never wait for each other. */
const ADD = `
  INSERT INTO rate_limits AS kept (key, count, until)
  SELECT key, count, now() + "windowMs" * interval '1 ms'
  FROM unnest($1::text[], $2::int[], $3::int[]) AS asked (key, count, "windowMs") ORDER BY key
  ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN kept.until <= now() THEN EXCLUDED.count ELSE kept.count + EXCLUDED.count END,
    until = CASE WHEN kept.until <= now() THEN EXCLUDED.until ELSE kept.until END
  RETURNING key, count, CEIL(EXTRACT(EPOCH FROM until - now()) * 1000)::int AS ttl`;

/**
 * Counts requests: for all instances of a PostgreSQL database together, in memory for the only instance of SQLite.
 *
 * What comes at the same time is one statement, on a table that is not written ahead: a crash of the server may forget it.
 */
@Injectable()
export class RateLimitCounts implements OnModuleInit {
  /** Counts of the only instance, until a time of `Date.now()`. */
  private readonly kept = new Map<string, { count: number; until: number }>();
  private readonly batcher = new Batcher<Asked, RateLimitCount>((asked) => this.add(asked), 0);

  constructor(
    @Inject(WRITER) private readonly writer: DataSource,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.register('rate limits', () => this.removeEnded());
  }

  /** Counts one request of whoever the key stands for. */
  async count(key: string, windowMs: number): Promise<RateLimitCount> {
    if (isPostgres(this.writer)) return this.batcher.add({ key, windowMs });
    const now = Date.now();
    let entry = this.kept.get(key);
    if (!entry || entry.until <= now) this.kept.set(key, (entry = { count: 0, until: now + windowMs }));
    entry.count += 1;
    return { current: entry.count, ttl: entry.until - now };
  }

  private async removeEnded(): Promise<void> {
    if (isPostgres(this.writer)) await this.writer.query('DELETE FROM rate_limits WHERE until < now()');
    const now = Date.now();
    for (const [key, { until }] of this.kept) if (until <= now) this.kept.delete(key);
  }

  private async add(asked: readonly Asked[]): Promise<RateLimitCount[]> {
    const counts = new Map<string, { count: number; windowMs: number }>();
    for (const { key, windowMs } of asked) counts.set(key, { count: (counts.get(key)?.count ?? 0) + 1, windowMs });
    const values = [...counts.values()];
    const rows = await this.writer.query<{ key: string; count: number; ttl: number }[]>(ADD, [
      [...counts.keys()],
      values.map(({ count }) => count),
      values.map(({ windowMs }) => windowMs),
    ]);
    const found = new Map(rows.map((row) => [row.key, row]));
    // Of several at a time, each has its own number.
    return asked.map(({ key }) => {
      const { count = 0, ttl = 0 } = found.get(key) ?? {};
      const entry = counts.get(key);
      const after = entry ? (entry.count -= 1) : 0;
      return { current: count - after, ttl };
    });
  }
}
