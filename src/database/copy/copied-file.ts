import { existsSync } from 'node:fs';
import SqliteDatabase from 'better-sqlite3';
import { DatabaseFileError } from '../database-file-error.js';
import { SqliteLock } from '../sqlite-lock.js';

/** The SQLite file that is copied. Nobody else has it meanwhile, and nothing is written to it. */
export class CopiedFile {
  private constructor(
    private readonly database: SqliteDatabase.Database,
    private readonly lock: SqliteLock,
  ) {}

  /** @throws DatabaseInUseError while a service has the file; Error when there is none; DatabaseFileError. */
  static open(file: string): CopiedFile {
    if (!existsSync(file)) throw new Error(`There is no database at ${file}: name one, or set DATABASE_URL`);
    const lock = SqliteLock.acquire(file);
    try {
      const database = new SqliteDatabase(file, { readonly: true });
      // Only now is it read for the first time.
      database.pragma('schema_version');
      return new CopiedFile(database, lock);
    } catch (error) {
      lock.release();
      throw new DatabaseFileError(file, error);
    }
  }

  /** Returns the names of all tables, those of SQLite itself left out. */
  tables(): string[] {
    return this.ask<string>(
      `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@'`,
    );
  }

  /** Returns the names of the migrations that have run. */
  migrations(): string[] {
    return this.tables().includes('migrations') ? this.ask<string>('SELECT name FROM migrations') : [];
  }

  columns(table: string): string[] {
    return this.ask<string>('SELECT name FROM pragma_table_info(?)', table);
  }

  count(table: string): number {
    return this.ask<number>(`SELECT COUNT(*) FROM "${table}"`)[0] ?? 0;
  }

  /** Yields the rows as lists of some columns, in the order of a key. */
  rows(table: string, columns: readonly string[], key: readonly string[]): IterableIterator<unknown[]> {
    const sql = `SELECT ${listOf(columns)} FROM "${table}" ORDER BY ${listOf(key)}`;
    return this.database.prepare<[], unknown[]>(sql).raw().iterate();
  }

  /** Returns the highest id that AUTOINCREMENT ever gave in a table; 0 for none. */
  lastId(table: string): number {
    return this.ask<number>('SELECT seq FROM sqlite_sequence WHERE name = ?', table)[0] ?? 0;
  }

  close(): void {
    this.database.close();
    this.lock.release();
  }

  private ask<T>(sql: string, ...parameters: unknown[]): T[] {
    return this.database
      .prepare(sql)
      .pluck()
      .all(...parameters) as T[];
  }
}

/** Writes names as SQL has them. */
export function listOf(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}
