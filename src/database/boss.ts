import { Logger } from '@nestjs/common';
import type { Db, PgBoss } from 'pg-boss';
import type { DataSource, EntityManager } from 'typeorm';
import { poolOf, rowsWritten } from './sql.js';
import { StartError } from '../common/start-error.js';

/** The most that pg-boss's columns hold: 68 years in seconds, or that many retries. */
export const NEVER = 2 ** 31 - 1;

/**
 * Starts pg-boss on the connections of the service: its schema, and its maintenance of the table.
 *
 * @throws StartError when the package is not installed.
 */
export async function startBoss(writer: DataSource): Promise<PgBoss> {
  const logger = new Logger('PgBoss');
  const { PgBoss } = await load();
  const pool = poolOf(writer);
  const boss = new PgBoss({
    db: { executeSql: async (text, values) => pool.query(text, values) },
    schedule: false,
    registerInstance: false,
    openTelemetry: { enabled: false },
  });
  boss.on('error', (error) => logger.error({ msg: 'maintenance of the job table failed', err: error }));
  boss.on('warning', ({ message, data }) => logger.warn({ msg: message, data }));
  await boss.start();
  return boss;
}

/** What lets a call of pg-boss run inside of a unit of work. */
export function inUnit(tx: EntityManager): { db: Db } {
  return {
    db: {
      async executeSql(text, values) {
        return { rows: await rowsWritten<object>(tx, text, values ?? []) };
      },
    },
  };
}

async function load(): Promise<typeof import('pg-boss')> {
  try {
    // Loaded only where it is used: SQLite does without.
    return await import('pg-boss');
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new StartError('Jobs on PostgreSQL run on the package pg-boss, which is not installed: run "npm ci".', {
      cause: error,
    });
  }
}
