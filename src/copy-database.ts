import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { entities } from './app.entities.js';
import type { Config } from './config/config.js';
import { envSchema, type DatabaseUrl } from './config/env.schema.js';
import { CopiedFile } from './database/copy/copied-file.js';
import { copyTables } from './database/copy/copy-tables.js';
import { intoTarget } from './database/copy/copy-target.js';
import { migrations, settingsOf } from './database/data-source-options.js';
import { openReader } from './database/open-reader.js';
import { SecretCipher } from './database/secret-cipher.service.js';
import { chainKeyFrom, isOfKey, type ChainReport } from './events/audit-chain.js';
import { verifyTrail } from './events/audit-trail.service.js';
import { EventRow } from './events/event.entity.js';
import type { Extension } from './extensions/extension.js';
import { declareExtensions, loadExtensions } from './extensions/load-extensions.js';
import { CopiedJobs } from './jobs/boss-copy.service.js';

const USAGE = 'npm run db:copy -- postgres://user:password@host/database [sqlite:FILE] [--leave TABLE]';

/**
 * Moves everything in a SQLite file into a database of PostgreSQL, which it migrates first, and compares the two when it is
 * done. A run that was cut off, by whatever, is begun again and goes on where it was.
 *
 * @param words - of the command line.
 * @param say - is told each line of what has been done.
 * @throws Error, whose message is a sentence, when PostgreSQL does not have all of it.
 */
export async function copyDatabase(words: string[], given: Config, say: (line: string) => void): Promise<void> {
  const startedAt = performance.now();
  const { from, to, left } = readWords(words, given);
  // Before the file is opened: opening takes its lock, and makes no key.
  const source = given.withDatabase(from);
  const key = keyOf(source);
  const file = CopiedFile.open(from.file);
  try {
    const extensions = await loadExtensions(given.HERALD_EXTENSIONS);
    declareExtensions(extensions, entities);
    requireMigrated(file, extensions);
    const trail = await readTrail(source, key);
    const settings = settingsOf(given.withDatabase(to), {
      entities: [...entities, ...extensions.flatMap((one) => one.entities ?? [])],
      migrations: extensions.flatMap((one) => one.migrations ?? []),
    });
    await intoTarget(settings, async (target, connection) => {
      const jobs = await CopiedJobs.open(target);
      const { tables, rows } = await copyTables(file, connection, [jobs], left, (table, count) =>
        say(`${table}: ${count} rows`),
      ).finally(() => jobs.close());
      const there = await verifyTrail(target, key);
      if (JSON.stringify(there) !== JSON.stringify(trail))
        throw new Error(`The audit trail differs: ${describe(trail)} in the file, ${describe(there)} in PostgreSQL`);
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      say(`Copied ${from.file} to ${nameOf(to.url)} in ${seconds} s: ${rows} rows of ${tables} tables, each compared.`);
      say(`The audit trail there: ${describe(there)}.`);
    });
  } finally {
    file.close();
  }
  say(
    'Start the service with DATABASE_URL of that database, DATA_KEY and JWT_SECRET as before, and lay the file aside.',
  );
  if (!given.DATA_KEY) say(`DATA_KEY is what ${source.keptSecretFile('data-key')} holds.`);
}

interface Words {
  from: Extract<DatabaseUrl, { kind: 'sqlite' }>;
  to: Extract<DatabaseUrl, { kind: 'postgres' }>;
  left: string[];
}

/** @throws Error when they do not say what to copy where. */
function readWords(words: string[], given: Config): Words {
  const { positionals, values } = parseArgs({
    args: words,
    allowPositionals: true,
    options: { leave: { type: 'string', multiple: true, default: [] } },
  });
  const [toWord = '', fromWord, ...more] = positionals;
  const to = envSchema.shape.DATABASE_URL.safeParse(toWord).data;
  if (to?.kind !== 'postgres' || more.length > 0) throw new Error(`Name the database to copy to: ${USAGE}`);
  const from = fromWord === undefined ? given.DATABASE_URL : envSchema.shape.DATABASE_URL.safeParse(fromWord).data;
  if (from?.kind !== 'sqlite') throw new Error(`Name the file to copy as sqlite:FILE: ${USAGE}`);
  return { from, to, left: values.leave };
}

/** @throws Error when there is none: made anew here, it would be another one. */
function keyOf(source: Config): Buffer {
  if (!source.DATA_KEY && !existsSync(source.keptSecretFile('data-key')))
    throw new Error('DATA_KEY is not set: give the one of the service');
  return chainKeyFrom(new SecretCipher(source));
}

/** @throws Error when the file lacks tables or columns that this version has. */
function requireMigrated(file: CopiedFile, extensions: readonly Extension[]): void {
  const known = [...migrations, ...extensions.flatMap((one) => one.migrations ?? [])];
  const done = new Set(file.migrations());
  const pending = known.map((Migration) => new Migration().name ?? Migration.name).filter((name) => !done.has(name));
  if (pending.length === 0) return;
  throw new Error(`The file lacks the migration ${pending[0]}: start the service on it once, stop it, and copy then`);
}

/** Follows the chain of the file. @throws Error when it was written under another key. */
async function readTrail(source: Config, key: Buffer): Promise<ChainReport> {
  const reader = await openReader(settingsOf(source, { entities: [EventRow] }));
  try {
    const [newest] = await reader.getRepository(EventRow).find({ order: { seq: 'DESC' }, take: 1 });
    if (newest && !isOfKey(key, newest))
      throw new Error(
        'DATA_KEY is not the one that the newest row of the audit trail was written under: give the one of the service',
      );
    return await verifyTrail(reader, key);
  } finally {
    await reader.destroy();
  }
}

function describe({ count, head, broken }: ChainReport): string {
  const rows = `${count} rows hold${head ? `, head ${head.id}:${head.hash}` : ''}`;
  return broken ? `${rows}, BROKEN at row ${broken.seq}: ${broken.reason}` : rows;
}

/** A database without the user and the password. */
function nameOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
