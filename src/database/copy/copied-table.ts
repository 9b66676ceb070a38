import { createHash, type Hash } from 'node:crypto';
import type { QueryRunner } from 'typeorm';
import { listOf, type CopiedFile } from './copied-file.js';

/** How many rows are written by one statement, and read by one. */
const BATCH = 500;

/** A number of rows, and a hash over all of their values in the order of the primary key. */
export interface Content {
  readonly rows: number;
  readonly hash: string;
}

interface Column {
  readonly name: string;
  /** As PostgreSQL writes it: `bigint`. */
  readonly type: string;
  /** Its place in the primary key, from 1; null outside of it. */
  readonly place: number | null;
}

/** A table of the file that PostgreSQL shows as a view, whose rows get there by another way than the view. */
export interface CopiedView {
  /** Of the table, and of the view. */
  readonly name: string;
  /** The column that is the primary key. */
  readonly key: string;
  /** Columns that differ there, and are not compared. */
  readonly without: readonly string[];
  /** Writes all of the rows, by the names of their columns, or none. */
  write(target: QueryRunner, rows: readonly Record<string, unknown>[]): Promise<void>;
}

const COLUMNS = `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, array_position(conkey, attnum) AS place
  FROM pg_attribute LEFT JOIN pg_constraint ON conrelid = attrelid AND contype = 'p'
  WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`;

/**
 * One table of the file and the one of the same name in PostgreSQL.
 *
 * Rows are written in the order of the primary key, some with each statement. So whatever ended an earlier run, what it has
 * left is a beginning of the table, and the next run finds by comparing where to go on.
 */
export class CopiedTable {
  private constructor(
    readonly name: string,
    private readonly file: CopiedFile,
    private readonly target: QueryRunner,
    private readonly columns: readonly Column[],
    private readonly view: CopiedView | undefined,
  ) {}

  /**
   * @param view - set where PostgreSQL has a view of that name.
   * @throws Error when the two tables have different columns.
   */
  static async open(name: string, file: CopiedFile, target: QueryRunner, view?: CopiedView): Promise<CopiedTable> {
    const columns = (await target.query(COLUMNS, [`"${name}"`])) as Column[];
    const ours = file.columns(name).toSorted().join(', ');
    const theirs = columns.map((column) => column.name).toSorted();
    if (ours === theirs.join(', ')) {
      const copied = columns
        .filter((column) => !view?.without.includes(column.name))
        .map((column) => (column.name === view?.key ? { ...column, place: 1 } : column));
      return new CopiedTable(name, file, target, copied, view);
    }
    throw new Error(
      `The table "${name}" has other columns in the file (${ours}) than in PostgreSQL (${theirs.join(', ')})`,
    );
  }

  /**
   * Returns how many rows are there already.
   *
   * @throws Error when they are not the first rows of the file.
   */
  async begun(): Promise<number> {
    const there = await this.readTarget();
    const hash = createHash('sha256');
    let rows = 0;
    if (there.rows > 0) {
      for (const values of this.readFile()) {
        add(hash, values);
        rows += 1;
        if (rows === there.rows) break;
      }
    }
    if (rows === there.rows && hash.digest('hex') === there.hash) return rows;
    throw new Error(
      `The table "${this.name}" has rows in PostgreSQL that are not those of the file: a service ran there, or the file ` +
        'changed after a copy that was cut off. Name an empty database, or empty this one.',
    );
  }

  /** Copies what follows the first `begun` rows, and returns what the file holds. */
  async copy(begun: number): Promise<Content> {
    const hash = createHash('sha256');
    let rows = 0;
    let batch: unknown[][] = [];
    for (const values of this.readFile()) {
      add(hash, values);
      rows += 1;
      if (rows > begun) batch.push(values);
      if (batch.length < BATCH) continue;
      await this.write(batch);
      batch = [];
    }
    if (batch.length > 0) await this.write(batch);
    return { rows, hash: hash.digest('hex') };
  }

  /** Returns what the table in PostgreSQL holds. */
  async readTarget(): Promise<Content> {
    const hash = createHash('sha256');
    let rows = 0;
    await this.target.query('BEGIN READ ONLY');
    try {
      await this.target.query(
        `DECLARE rows NO SCROLL CURSOR FOR SELECT ${listOf(this.names)} FROM "${this.name}" ORDER BY ${this.order}`,
      );
      for (let full = true; full;) {
        const page = (await this.target.query(`FETCH ${BATCH} FROM rows`)) as Record<string, unknown>[];
        for (const row of page)
          add(
            hash,
            this.columns.map(({ name, type }) => valueOf(type, row[name])),
          );
        rows += page.length;
        full = page.length === BATCH;
      }
    } finally {
      await this.target.query('ROLLBACK');
    }
    return { rows, hash: hash.digest('hex') };
  }

  /** Has ids that PostgreSQL gives begin behind every one that SQLite ever gave. */
  async moveSequences(): Promise<void> {
    const last = this.file.lastId(this.name);
    if (last === 0) return;
    for (const { name } of this.columns) {
      await this.target.query('SELECT setval(sequence, $3) FROM pg_get_serial_sequence($1, $2) AS sequence', [
        `"${this.name}"`,
        name,
        last,
      ]);
    }
  }

  private get names(): string[] {
    return this.columns.map(({ name }) => name);
  }

  /** The primary key; all columns where there is none. */
  private get key(): readonly Column[] {
    const key = this.columns.filter(({ place }) => place !== null);
    return key.length > 0 ? key.toSorted((a, b) => Number(a.place) - Number(b.place)) : this.columns;
  }

  /** As SQLite sorts: by bytes, also where a table sorts by a language, and what is null first. */
  private get order(): string {
    return this.key
      .map(({ name, type, place }) => {
        const nulls = place === null ? ' NULLS FIRST' : '';
        return `"${name}"${type === 'text' ? ' COLLATE "C"' : ''}${nulls}`;
      })
      .join(', ');
  }

  private *readFile(): Generator<unknown[]> {
    const key = this.key.map(({ name }) => name);
    for (const values of this.file.rows(this.name, this.names, key)) {
      yield values.map((value, index) => valueOf(this.columns[index]?.type, value));
    }
  }

  /** One statement is one transaction: all of the rows, or none. */
  private async write(batch: readonly unknown[][]): Promise<void> {
    const written = this.view
      ? this.view.write(
          this.target,
          batch.map((row) => Object.fromEntries(this.names.map((name, index) => [name, row[index]]))),
        )
      : this.insert(batch);
    await written.catch((error: unknown) => {
      throw new Error(`The table "${this.name}" was refused by PostgreSQL: ${(error as Error).message}`, {
        cause: error,
      });
    });
  }

  private async insert(batch: readonly unknown[][]): Promise<void> {
    const lists = this.columns.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ');
    const sql = `INSERT INTO "${this.name}" (${listOf(this.names)}) SELECT * FROM unnest(${lists})`;
    const values = this.columns.map((_, index) => batch.map((row) => row[index]));
    await this.target.query(sql, values);
  }
}

/** A value of either database as both have it. */
function valueOf(type: string | undefined, value: unknown): unknown {
  if (value === null) return null;
  if (type === 'boolean') return Boolean(value);
  return type === 'bigint' ? Number(value) : value;
}

function add(hash: Hash, values: readonly unknown[]): void {
  hash.update(`${JSON.stringify(values)}\n`);
}
