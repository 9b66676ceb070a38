import type { DataSource } from 'typeorm';

/** Whether a data source is one of PostgreSQL. */
export function isPostgres({ options }: DataSource): boolean {
  return options.type === 'postgres';
}

/** Writes a statement with `?` for each parameter as the database of a data source has it; no `?` may stand elsewhere. */
export function sqlFor(source: DataSource, sql: string): string {
  let count = 0;
  return isPostgres(source) ? sql.replaceAll('?', () => `$${(count += 1)}`) : sql;
}
