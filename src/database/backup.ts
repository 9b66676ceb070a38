import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { loadProcessConfig } from '../config/config.js';

/**
 * `npm run backup -- FILE`: copies the database while the service runs, as it stands in one moment, and checks the copy.
 *
 * Ends with 0 when FILE is complete and on the disk; with 1 and one sentence otherwise, and then there is no FILE.
 */
function main(words: readonly string[]): void {
  const [name] = words;
  if (name === undefined || words.length > 1) throw new Error('Name one file to write: npm run backup -- FILE');
  const { DATABASE_URL: database } = loadProcessConfig();
  if (database.kind === 'postgres') throw new Error('PostgreSQL brings a tool for that: pg_dump (docs/operations.md)');
  const source = database.file;
  const target = resolve(name);
  if (!existsSync(source)) throw new Error(`There is no database at ${source}: see DATABASE_URL`);
  if (existsSync(target)) throw new Error(`${target} exists already: a backup overwrites nothing`);
  if (!existsSync(dirname(target))) throw new Error(`There is no folder ${dirname(target)}`);
  const startedAt = performance.now();
  // A copy that was cut off never has the name of a complete one.
  const partial = `${target}.partial-${process.pid}`;
  try {
    copy(source, partial);
    check(partial);
    if (existsSync(target))
      throw new Error(`${target} was made by somebody else meanwhile: a backup overwrites nothing`);
    renameSync(partial, target);
    flush(dirname(target));
  } finally {
    rmSync(partial, { force: true });
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  say(`Copied ${source} to ${target}: ${statSync(target).size} bytes in ${seconds} s, its integrity checked.`);
  say('Restoring it takes the DATA_KEY it was written under: keep that too, elsewhere.');
}

/**
 * Copies the database as one reading transaction sees it.
 *
 * `VACUUM INTO` and not SQLite's backup API: that one begins anew whenever another process has written between two of its
 * steps, and so never ends under constant writes. In WAL mode a reader, however long, makes no writer wait; only the log
 * grows meanwhile. What was deleted is not in the copy either.
 */
function copy(source: string, target: string): void {
  // It writes into an empty file too, and so into one that nobody else may read.
  closeSync(openSync(target, 'wx', 0o600));
  const database = new SqliteDatabase(source, { readonly: true, fileMustExist: true });
  try {
    database.prepare('VACUUM INTO ?').run(target);
  } finally {
    database.close();
  }
  // It leaves that to the operating system.
  flush(target);
}

function check(file: string): void {
  const database = new SqliteDatabase(file, { readonly: true });
  try {
    const found = database.pragma('integrity_check', { simple: true });
    if (found !== 'ok') throw new Error(`The copy is damaged, and so may be the database: ${String(found)}`);
  } finally {
    database.close();
  }
}

function flush(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One sentence for what a person can mend. */
function explain(error: unknown): string {
  const { code } = error as { code?: string };
  if (code === 'SQLITE_FULL' || code === 'ENOSPC') return 'The disk is full';
  if (code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT') return 'The database is damaged, or is none';
  return error instanceof Error ? error.message : String(error);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`No backup was made: ${explain(error)}\n`);
  process.exitCode = 1;
}
