import type { DataSource } from 'typeorm';
import { isPostgres } from '../../src/database/sql.js';

/** What a table is, in words that both databases share. Names of constraints are left out, those of indexes are kept. */
export interface TableShape {
  columns: Record<string, { type: string; nullable: boolean; default: string | null }>;
  primaryKey: string[];
  /** The columns of each unique constraint. */
  unique: string[];
  /** As `columns -> table (columns) ON DELETE action`. */
  foreignKeys: string[];
  indexes: Record<string, { columns: string[]; unique: boolean; where: string | null }>;
}

/** The types of SQLite, and what stands for each on PostgreSQL. */
export const TYPES: Readonly<Record<string, readonly string[]>> = {
  // A whole number that is given by SQLite itself fills its 64 bits.
  integer: ['integer', 'bigint'],
  bigint: ['bigint'],
  text: ['text'],
  boolean: ['boolean'],
  real: ['double precision'],
  blob: ['bytea'],
};

/** Reads the tables that are there, by name. */
export async function readShapes(source: DataSource): Promise<Record<string, TableShape>> {
  const shapes: Record<string, TableShape> = {};
  const read = isPostgres(source) ? readPostgresTable : readSqliteTable;
  for (const name of await tableNames(source)) shapes[name] = await read(source, name);
  return shapes;
}

async function tableNames(source: DataSource): Promise<string[]> {
  const rows = await source.query<{ name: string }[]>(
    isPostgres(source)
      ? `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`
      : `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

interface SqliteColumn {
  name: string;
  type: string;
  notnull: number;
  dflt_value: string | null;
  /** Its place in the primary key, from 1. */
  pk: number;
}

async function readSqliteTable(source: DataSource, table: string): Promise<TableShape> {
  const columns = await source.query<SqliteColumn[]>(`SELECT * FROM pragma_table_info(?)`, [table]);
  const keys = await source.query<{ from: string; to: string; table: string; on_delete: string }[]>(
    `SELECT * FROM pragma_foreign_key_list(?)`,
    [table],
  );
  const indexes = await source.query<{ name: string; unique: number; origin: string; sql: string | null }[]>(
    `SELECT list.*, master.sql FROM pragma_index_list(?) AS list LEFT JOIN sqlite_master AS master ON master.name = list.name`,
    [table],
  );
  const columnsOf = async (index: string) =>
    (await source.query<{ name: string }[]>(`SELECT name FROM pragma_index_info(?) ORDER BY seqno`, [index])).map(
      ({ name }) => name,
    );
  const shape: TableShape = {
    columns: Object.fromEntries(
      columns.map(({ name, type, notnull, dflt_value: preset }) => [
        name,
        { type: type.toLowerCase(), nullable: notnull === 0, default: preset?.replace(/^\((.*)\)$/, '$1') ?? null },
      ]),
    ),
    primaryKey: columns
      .filter(({ pk }) => pk > 0)
      .toSorted((a, b) => a.pk - b.pk)
      .map(({ name }) => name),
    unique: [],
    foreignKeys: keys.map((key) => `${key.from} -> ${key.table} (${key.to}) ON DELETE ${key.on_delete}`).toSorted(),
    indexes: {},
  };
  for (const { name, unique, origin, sql } of indexes) {
    const of = await columnsOf(name);
    if (origin === 'u') shape.unique.push(of.join());
    else if (origin === 'c') {
      const where = /\bWHERE\s+(.*)$/is.exec(sql ?? '')?.[1] ?? null;
      shape.indexes[name] = { columns: of, unique: unique === 1, where: where && plain(where) };
    }
  }
  shape.unique.sort();
  return shape;
}

const COLUMNS = `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, NOT attnotnull AS nullable,
  pg_get_expr(adbin, adrelid) AS default
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`;
const namesOf = (keys: string, relation: string) =>
  `ARRAY(SELECT attname::text FROM unnest(${keys}) WITH ORDINALITY AS key (number, place)
    JOIN pg_attribute ON attrelid = ${relation} AND attnum = key.number ORDER BY place)`;
const CONSTRAINTS = `SELECT contype AS kind, ${namesOf('conkey', 'conrelid')} AS columns, confrelid::regclass::text AS target,
  ${namesOf('confkey', 'confrelid')} AS targets, confdeltype AS on_delete
  FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u', 'f')`;
const INDEXES = `SELECT relname AS name, ${namesOf('indkey', 'indrelid')} AS columns, indisunique AS unique,
  pg_get_expr(indpred, indrelid) AS where
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
  WHERE indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))`;
const ON_DELETE: Readonly<Record<string, string>> = {
  a: 'NO ACTION',
  r: 'RESTRICT',
  c: 'CASCADE',
  n: 'SET NULL',
  d: 'SET DEFAULT',
};

async function readPostgresTable(source: DataSource, table: string): Promise<TableShape> {
  const name = [`"${table}"`];
  const columns = await source.query<{ name: string; type: string; nullable: boolean; default: string | null }[]>(
    COLUMNS,
    name,
  );
  const constraints = await source.query<
    { kind: string; columns: string[]; target: string; targets: string[]; on_delete: string }[]
  >(CONSTRAINTS, name);
  const indexes = await source.query<{ name: string; columns: string[]; unique: boolean; where: string | null }[]>(
    INDEXES,
    name,
  );
  return {
    columns: Object.fromEntries(
      columns.map(({ name: column, type, nullable, default: preset }) => [column, { type, nullable, default: preset }]),
    ),
    primaryKey: constraints.find(({ kind }) => kind === 'p')?.columns ?? [],
    unique: constraints
      .filter(({ kind }) => kind === 'u')
      .map((one) => one.columns.join())
      .toSorted(),
    foreignKeys: constraints
      .filter(({ kind }) => kind === 'f')
      .map(({ columns: from, target, targets, on_delete: action }) => {
        return `${from.join()} -> ${target} (${targets.join()}) ON DELETE ${ON_DELETE[action]}`;
      })
      .toSorted(),
    indexes: Object.fromEntries(
      indexes.map(({ name: index, where, ...rest }) => [index, { ...rest, where: where && plain(where) }]),
    ),
  };
}

/** A predicate without what each database adds to it by itself. */
function plain(predicate: string): string {
  return predicate.replaceAll(/["()]/g, '').replaceAll(/::\w+/g, '').replaceAll(/\s+/g, ' ').trim();
}
