import type { Pool } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';

/** Whether a data source is one of PostgreSQL. */
export function isPostgres({ options }: DataSource): boolean {
  return options.type === 'postgres';
}

/** Returns the connections of a data source of PostgreSQL, to be asked past TypeORM. */
export function poolOf({ driver }: DataSource): Pool {
  return (driver as unknown as { master: Pool }).master;
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

/** Runs a statement that writes on PostgreSQL, and returns what its `RETURNING` says: TypeORM's own answer differs by verb. */
export async function rowsWritten<T>(tx: EntityManager, sql: string, parameters: unknown[]): Promise<T[]> {
  const result: { records: T[] } | undefined = await tx.queryRunner?.query(sql, parameters, true);
  return result?.records ?? [];
}
