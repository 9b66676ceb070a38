import type { DataSource } from 'typeorm';

/** Whether a data source is one of PostgreSQL. */
export function isPostgres({ options }: DataSource): boolean {
  return options.type === 'postgres';
}

/** Whether a statement failed because another row has what must be unique. */
export function isUniqueViolation(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === '23505' || code === 'SQLITE_CONSTRAINT_UNIQUE';
}

/** Writes a statement with `?` for each parameter as the database of a data source has it; no `?` may stand elsewhere. */
export function sqlFor(source: DataSource, sql: string): string {
  let count = 0;
  return isPostgres(source) ? sql.replaceAll('?', () => `$${(count += 1)}`) : sql;
}
