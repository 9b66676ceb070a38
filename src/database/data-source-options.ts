import type { Type } from '@nestjs/common';
import { getMetadataArgsStorage, type DataSourceOptions, type EntitySchema, type MigrationInterface } from 'typeorm';
import type { Database } from 'better-sqlite3';
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
import { StreamTickets1795500000009 } from './migrations/1795500000009-stream-tickets.js';

/** Every migration, oldest first; a new one is added here by hand, after it was read. */
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

/** How many prepared statements each connection keeps: more than there are. */
const STATEMENTS = 500;

/** The name of the table that an entity's decorator gives it. */
export function tableOf(entity: Type): string | undefined {
  return getMetadataArgsStorage().tables.find(({ target }) => target === entity)?.name;
}

/** Where the database is and how it is opened. */
export interface DatabaseSettings {
  file: string;
  synchronous: 'FULL' | 'NORMAL';
  entities: readonly (Type | EntitySchema)[];
  /** Those beside Herald's own, which come first. @default none */
  migrations?: readonly Type<MigrationInterface>[];
}

/**
 * Options of the connection that writes: the one that migrates, and the one that {@link UnitOfWork} holds.
 *
 * Shared by the app, the TypeORM command line (`ormconfig.ts`) and the tests.
 */
export function writerOptions({
  file,
  synchronous,
  entities,
  migrations: others = [],
}: DatabaseSettings): DataSourceOptions {
  return {
    type: 'better-sqlite3',
    database: file,
    entities: [...entities],
    migrations: [...migrations, ...others],
    migrationsTransactionMode: 'each',
    statementCacheSize: STATEMENTS,
    prepareDatabase: (database: Database) => {
      database.pragma('journal_mode = WAL');
      database.pragma(`synchronous = ${synchronous}`);
      database.pragma('foreign_keys = ON');
    },
  };
}

/**
 * Options of the connection that repositories are injected from.
 *
 * `query_only` makes a write outside a unit of work fail loudly, and a connection of its own never sees a row that is
 * not committed yet.
 */
export function readerOptions({ file, entities }: DatabaseSettings): DataSourceOptions {
  return {
    type: 'better-sqlite3',
    database: file,
    entities: [...entities],
    statementCacheSize: STATEMENTS,
    prepareDatabase: (database: Database) => {
      database.pragma('query_only = ON');
    },
  };
}
