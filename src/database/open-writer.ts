import { DataSource } from 'typeorm';
import { StartError } from '../common/start-error.js';
import { writerOptions, type DatabaseSettings } from './data-source-options.js';
import { DatabaseFileError } from './database-file-error.js';
import { isPostgres } from './sql.js';

/** Held by whoever migrates: a number of Herald's own among those that others lock in the same database. */
const MIGRATION_LOCK = 4_815_162_342;

/** A migration did not work; the start stops, and nothing of it was kept. */
class MigrationError extends StartError {
  override readonly name = 'MigrationError';

  constructor(migration: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`The migration ${migration} failed, and nothing of it was kept: ${why}`, { cause });
  }
}

/** The server of the database cannot be reached, or lets nobody in; the message says why. */
export class DatabaseServerError extends StartError {
  override readonly name = 'DatabaseServerError';
  readonly reason: string;

  constructor(cause: unknown) {
    const why = cause instanceof Error ? cause.message || String((cause as { code?: string }).code) : String(cause);
    super(`The PostgreSQL database of DATABASE_URL cannot be used: ${why}`, { cause });
    this.reason = why;
  }
}

/**
 * Connects whoever writes, and migrates.
 *
 * @throws MigrationError when a migration fails; DatabaseFileError, DatabaseServerError when there is no database to use.
 */
export async function openWriter(settings: DatabaseSettings): Promise<DataSource> {
  const writer = new DataSource(writerOptions(settings));
  try {
    await writer.initialize();
    await alone(writer, () => migrate(writer));
    return writer;
  } catch (error) {
    const isOpen = writer.isInitialized;
    if (isOpen) await writer.destroy();
    const { database } = settings;
    if (database.kind === 'postgres') throw isOpen ? error : new DatabaseServerError(error);
    const isAboutFile = ['SQLITE_CANTOPEN', 'SQLITE_NOTADB', 'SQLITE_READONLY'].includes(codeOf(error));
    throw isAboutFile ? new DatabaseFileError(database.file, error) : error;
  }
}

/** Does something that instances which start at the same time may only do one after the other. */
async function alone(writer: DataSource, work: () => Promise<void>): Promise<void> {
  if (!isPostgres(writer)) return work();
  const holder = writer.createQueryRunner();
  try {
    // The server lets go of it when the connection ends, whatever becomes of this process.
    await holder.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await work();
    await holder.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
  } finally {
    await holder.release();
  }
}

/** Runs what is pending, one after the other. @throws MigrationError */
async function migrate(writer: DataSource): Promise<void> {
  try {
    await writer.runMigrations();
  } catch (error) {
    // The table that records them is the first that may not be made.
    const done = await writer.query<{ name: string }[]>('SELECT name FROM migrations').catch(() => []);
    const failed = writer.migrations.find(({ name }) => !done.some((one) => one.name === name));
    throw new MigrationError(failed?.name ?? 'that comes next', error);
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code);
}
