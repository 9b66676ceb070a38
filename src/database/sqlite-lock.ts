import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { StartError } from '../common/start-error.js';
import { DatabaseFileError } from './database-file-error.js';

/** Thrown when another process holds the database; its message says which, and what to do. */
export class DatabaseInUseError extends StartError {
  override readonly name = 'DatabaseInUseError';
}

/**
 * Refuses a second process on one SQLite file: its relay would deliver every event again, and its gate would not see
 * the other's.
 *
 * The lock is an open transaction on a small database beside the file. The operating system drops it with the process,
 * also after `kill -9`, so it is never stale, and no process id has to be trusted.
 */
export class SqliteLock {
  private constructor(private readonly database: SqliteDatabase.Database) {}

  /**
   * Makes the file's folder, and takes the lock.
   *
   * @throws DatabaseInUseError when another process, or another service in this one, holds the lock.
   * @throws DatabaseFileError when the folder cannot be made or written to.
   */
  static acquire(file: string): SqliteLock {
    const database = openLock(file);
    try {
      // Committed first, so that the refused process can read who holds the lock; then held by an open transaction.
      database.exec(`BEGIN IMMEDIATE; PRAGMA user_version = ${process.pid}; COMMIT; BEGIN IMMEDIATE`);
      return new SqliteLock(database);
    } catch (error) {
      if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error;
      const holder = String(database.pragma('user_version', { simple: true }));
      database.close();
      throw new DatabaseInUseError(
        `${file} is in use by process ${holder}. A SQLite file serves one process at a time: ` +
          'stop that one, or give this one a file of its own with DATABASE_URL=sqlite:<path>.',
      );
    }
  }

  release(): void {
    this.database.close();
  }
}

function openLock(file: string): SqliteDatabase.Database {
  try {
    mkdirSync(dirname(file), { recursive: true });
    return new SqliteDatabase(`${file}.lock`, { timeout: 0 });
  } catch (error) {
    throw new DatabaseFileError(file, error);
  }
}
