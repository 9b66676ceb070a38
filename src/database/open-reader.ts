import { existsSync } from 'node:fs';
import { DataSource } from 'typeorm';
import { readerOptions, type DatabaseSettings } from './data-source-options.js';

/**
 * Opens the database for a command that only reads, also beside a running service.
 *
 * @throws Error when the file is not there.
 */
export async function openReader(settings: DatabaseSettings): Promise<DataSource> {
  const { database } = settings;
  if (database.kind === 'sqlite' && !existsSync(database.file)) {
    throw new Error(`There is no database at ${database.file}: see DATABASE_URL`);
  }
  return new DataSource(readerOptions(settings)).initialize();
}
