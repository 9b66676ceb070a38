import type { Type } from '@nestjs/common';
import { getMetadataArgsStorage, type DataSourceOptions, type EntitySchema, type MigrationInterface } from 'typeorm';
import type { Database } from 'better-sqlite3';
import type { Config } from '../config/config.js';
import type { DatabaseUrl } from '../config/env.schema.js';
import { InitialSchema1764000000000 } from './migrations/1764000000000-initial-schema.js';
import { Jobs1795500000000 } from './migrations/1795500000000-jobs.js';
import { OneTimeTokens1795500000002 } from './migrations/1795500000002-one-time-tokens.js';
import { BanReason1795500000003 } from './migrations/1795500000003-ban-reason.js';
import { ApiKeys1795500000004 } from './migrations/1795500000004-api-keys.js';
import { SecondFactors1795500000005 } from './migrations/1795500000005-second-factors.js';
import { PasswordHistory1795500000006 } from './migrations/1795500000006-password-history.js';
import { Webhooks1795500000001 } from './migrations/1795500000001-webhooks.js';
import { Audit1795500000007 } from './migrations/1795500000007-audit.js';
import { Tracing1795500000008 } from './migrations/1795500000008-tracing.js';
import { Extensions1795500000010 } from './migrations/1795500000010-extensions.js';
import { Overview1795500000012 } from './migrations/1795500000012-overview.js';
import { PostgresSchema1795600000000 } from './postgres-migrations/1795600000000-schema.js';
import { StreamTickets1795500000009 } from './migrations/1795500000009-stream-tickets.js';

/** Every migration of SQLite, oldest first; a new one is added here by hand, after it was read, and below as well. */
export const migrations: readonly Type<MigrationInterface>[] = [
  InitialSchema1764000000000,
  Jobs1795500000000,
  Webhooks1795500000001,
  OneTimeTokens1795500000002,
  BanReason1795500000003,
  ApiKeys1795500000004,
  SecondFactors1795500000005,
  PasswordHistory1795500000006,
  Audit1795500000007,
  Tracing1795500000008,
  StreamTickets1795500000009,
  Extensions1795500000010,
  Overview1795500000012,
];

/** Every migration of PostgreSQL: the same tables, column by column. */
const postgresMigrations: readonly Type<MigrationInterface>[] = [PostgresSchema1795600000000];

/** How long a connection to PostgreSQL may take to come about. */
const CONNECT_TIMEOUT_MS = 10_000;
/**
 * How long a transaction may wait for its instance, in ms: one that was paused, or is gone without a word, would otherwise
 * keep the lock of the journal from all others, for as long as TCP takes to notice: two hours.
 */
const IDLE_TRANSACTION_MS = 3000;
/** How many prepared statements each connection keeps: more than there are. */
const STATEMENTS = 500;

/** The name of the table that an entity's decorator gives it. */
export function tableOf(entity: Type): string | undefined {
  return getMetadataArgsStorage().tables.find(({ target }) => target === entity)?.name;
}

/** Where the database is and how it is opened. */
export interface DatabaseSettings {
  database: DatabaseUrl;
  synchronous: 'FULL' | 'NORMAL';
  /** Connections to PostgreSQL, of readers and of writers each. @default 10 */
  poolSize?: number;
  entities: readonly (Type | EntitySchema)[];
  /** Those beside Herald's own, which come first. @default none */
  migrations?: readonly Type<MigrationInterface>[];
}

/** Returns what the configuration says of the database. */
export function settingsOf(
  config: Config,
  tables: Pick<DatabaseSettings, 'entities' | 'migrations'>,
): DatabaseSettings {
  const { DATABASE_URL: database, SQLITE_SYNCHRONOUS: synchronous, DATABASE_POOL_SIZE: poolSize } = config;
  return { database, synchronous, poolSize, ...tables };
}

/**
 * Options of the connections that write: those that migrate, and those that {@link UnitOfWork} holds.
 *
 * Shared by the app, the TypeORM command line (`ormconfig.ts`) and the tests.
 */
export function writerOptions(settings: DatabaseSettings): DataSourceOptions {
  const { database, synchronous, migrations: others = [] } = settings;
  if (database.kind === 'postgres') {
    const options = `-c idle_in_transaction_session_timeout=${IDLE_TRANSACTION_MS}`;
    return { ...serverOptions(database.url, settings, options), migrations: [...postgresMigrations, ...others] };
  }
  return {
    ...fileOptions(database.file, settings, (connection) => {
      connection.pragma('journal_mode = WAL');
      connection.pragma(`synchronous = ${synchronous}`);
      connection.pragma('foreign_keys = ON');
    }),
    migrations: [...migrations, ...others],
  };
}

/**
 * Options of the connections that repositories are injected from.
 *
 * They refuse to write, so that a write outside a unit of work fails loudly, and connections of their own never see a row
 * that is not committed yet.
 */
export function readerOptions(settings: DatabaseSettings): DataSourceOptions {
  const { database } = settings;
  if (database.kind === 'postgres') return serverOptions(database.url, settings, '-c default_transaction_read_only=on');
  return fileOptions(database.file, settings, (connection) => {
    connection.pragma('query_only = ON');
  });
}

function fileOptions(
  file: string,
  { entities }: DatabaseSettings,
  prepareDatabase: (database: Database) => void,
): Extract<DataSourceOptions, { type: 'better-sqlite3' }> {
  return {
    type: 'better-sqlite3',
    database: file,
    entities: [...entities],
    migrationsTransactionMode: 'each',
    statementCacheSize: STATEMENTS,
    prepareDatabase,
  };
}

function serverOptions(
  url: string,
  { entities, poolSize = 10 }: DatabaseSettings,
  options?: string,
): Extract<DataSourceOptions, { type: 'postgres' }> {
  return {
    type: 'postgres',
    url,
    entities: [...entities],
    migrationsTransactionMode: 'each',
    poolSize,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    applicationName: 'herald',
    // Everything stored here stays below 2^53.
    parseInt8: true,
    extra: { keepAlive: true, ...(options !== undefined && { options }) },
  };
}
