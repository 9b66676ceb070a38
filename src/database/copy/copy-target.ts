import type { DataSource, QueryRunner } from 'typeorm';
import type { DatabaseSettings } from '../data-source-options.js';
import { DatabaseServerError, openWriter } from '../open-writer.js';

/** Held while one process copies: the next waits for what a killed one has left under way on the server. */
const COPY_LOCK = 4_815_162_343;

/**
 * Migrates the database to copy to, and has `work` fill it, through one connection and beside nobody else.
 *
 * @throws Error when it cannot be used, or a service runs on it.
 */
export async function intoTarget<T>(
  settings: DatabaseSettings,
  work: (target: DataSource, connection: QueryRunner) => Promise<T>,
): Promise<T> {
  const target = await openWriter(settings).catch((error: unknown) => {
    // Its own sentence speaks of DATABASE_URL, which names the file here.
    throw error instanceof DatabaseServerError ? new Error(`PostgreSQL cannot be used: ${error.reason}`) : error;
  });
  try {
    const connection = target.createQueryRunner();
    await connection.query('SELECT pg_advisory_lock($1)', [COPY_LOCK]);
    const [lease] = (await connection.query('SELECT name FROM leases WHERE "until" > now() LIMIT 1')) as unknown[];
    if (lease !== undefined)
      throw new Error('A service runs on the database to copy to: stop it, and name an empty one');
    return await work(target, connection);
  } finally {
    // With the connection the server lets go of the lock.
    await target.destroy();
  }
}
