import 'reflect-metadata';
import { loadProcessConfig } from './config/config.js';
import { copyDatabase } from './copy-database.js';

/**
 * `npm run db:copy -- postgres://…`: moves everything in the SQLite file of `DATABASE_URL` into a database of PostgreSQL.
 *
 * Ends with 0 when PostgreSQL has all of it; with 1 and one sentence otherwise.
 */
async function main(): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  await copyDatabase(process.argv.slice(2), loadProcessConfig(), say);
}

main().catch((error: unknown) => {
  process.stderr.write(`Not everything was copied: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
