import type { DataSource } from 'typeorm';
import { isPostgres } from './sql.js';

/**
 * Returns the question for the highest `seq` there ever was, also if its row is gone: what SQLite remembers of the table,
 * and on PostgreSQL what the readers, who save their places each second, have seen.
 */
export function topOf(source: DataSource): string {
  return isPostgres(source)
    ? 'SELECT GREATEST((SELECT MAX(seq) FROM events), (SELECT MAX(seq) FROM event_cursors))'
    : "SELECT MAX(seq) FROM sqlite_sequence WHERE name = 'events'";
}
