import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Type } from '@nestjs/common';
import { DataSource, type MigrationInterface } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entities } from '../../src/app.entities.js';
import { tableOf, writerOptions } from '../../src/database/data-source-options.js';
import type { DatabaseUrl } from '../../src/config/env.schema.js';
import { shipped } from '../../src/extensions/shipped.js';
import { TestDatabase } from '../support/database.js';
import { readShapes, TYPES, type TableShape } from '../support/schemas.js';

/** Of a package of its own, which the compiler does not find from here. */
const TEMPLATE = new URL('../../templates/extension/src/items.migration.ts', import.meta.url).href;

/** The tables that only one of the databases has, or that differ, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  jobs: 'pg-boss keeps them on PostgreSQL, in a schema of its own',
  leases: 'only instances that share a database need them',
  rate_limits: 'one process counts in its memory',
};

/** What the entities leave open, because SQLite has one answer to it, and PostgreSQL's schema says. */
const LEFT_OPEN: readonly { because: string; settle: (column: ColumnMetadata) => void }[] = [
  {
    because: 'text is compared byte by byte, as SQLite compares it',
    settle: (column) => {
      if (column.type === 'text' || column.type === 'simple-json') column.collation = 'C';
    },
  },
  {
    because: 'an id that is generated fills 64 bits',
    settle: (column) => {
      if (column.isGenerated) column.type = 'bigint';
    },
  },
  {
    because: 'the journal counts by itself, under its lock: a sequence would leave gaps',
    settle: (column) => {
      if (column.entityMetadata.tableName === 'events') column.isGenerated = false;
    },
  },
];

describe('the migrations of both databases', () => {
  let folder: string;
  let database: TestDatabase;
  let sqlite: DataSource;
  let postgres: DataSource;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'herald-schema-'));
    database = await TestDatabase.create();
    sqlite = await migrate({ kind: 'sqlite', file: join(folder, 'db.sqlite') });
    postgres = await migrate({ kind: 'postgres', url: database.environment['DATABASE_URL'] ?? '' });
  });
  afterEach(async () => {
    await sqlite.destroy();
    await postgres.destroy();
    rmSync(folder, { recursive: true });
    await database.remove();
  });

  it('make the same tables, column by column, those of shipped extensions and of the template too', async () => {
    const [ofSqlite, ofPostgres] = [await readShapes(sqlite), await readShapes(postgres)];
    for (const name of Object.keys(EXCEPTIONS)) {
      delete ofSqlite[name];
      delete ofPostgres[name];
    }
    expect(Object.keys(ofSqlite)).toEqual(expect.arrayContaining(['user_notes', 'my_extension_items']));
    expect(Object.keys(ofPostgres)).toEqual(Object.keys(ofSqlite));
    for (const [name, shape] of Object.entries(ofPostgres)) {
      if (name === 'migrations') continue;
      const other = ofSqlite[name] as TableShape;
      expect(comparable(shape, other), name).toEqual(other);
    }
  });

  it('can be taken back on PostgreSQL, and run again', async () => {
    const before = await readShapes(postgres);
    for (const _ of postgres.migrations) await postgres.undoLastMigration();
    expect(Object.keys(await readShapes(postgres))).toEqual(['migrations']);
    expect(await postgres.runMigrations()).toHaveLength(postgres.migrations.length);
    expect(await readShapes(postgres)).toEqual(before);
  });

  it('make exactly the tables of the entities on PostgreSQL', async () => {
    for (const { ownColumns } of postgres.entityMetadatas)
      for (const column of ownColumns) LEFT_OPEN.forEach(({ settle }) => settle(column));
    const { upQueries } = await postgres.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });
});

async function migrate(database: DatabaseUrl): Promise<DataSource> {
  const extensions = await Promise.all([...shipped.values()].map(async (load) => (await load()).default));
  const template = (await import(TEMPLATE)) as Record<string, Type<MigrationInterface>>;
  const source = new DataSource(
    writerOptions({
      database,
      synchronous: 'FULL',
      entities: [...entities, ...extensions.flatMap((one) => one.entities ?? [])].filter(
        (entity) => !(String(tableOf(entity)) in EXCEPTIONS),
      ),
      migrations: [...extensions.flatMap((one) => one.migrations ?? []), ...Object.values(template)],
    }),
  );
  await source.initialize();
  await source.runMigrations();
  return source;
}

/** A table of PostgreSQL in the words of SQLite, as far as those leave it open: types, and how a default is written. */
function comparable(shape: TableShape, other: TableShape): TableShape {
  const columns = Object.entries(shape.columns).map(([name, column]) => {
    const wanted = other.columns[name];
    const fits = wanted !== undefined && TYPES[wanted.type]?.includes(column.type) === true;
    return [name, { ...column, type: fits ? wanted.type : column.type, default: presetOf(column.default) }] as const;
  });
  return { ...shape, columns: Object.fromEntries(columns) };
}

function presetOf(preset: string | null): string | null {
  // A sequence is what AUTOINCREMENT is, which SQLite does not call a default.
  if (preset?.startsWith('nextval(') === true) return null;
  return preset === 'false' ? '0' : preset === 'true' ? '1' : preset;
}
