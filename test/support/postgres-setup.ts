import { TEST_SERVER } from './database.js';
import { startPostgres } from './postgres.js';

/** Gives the tests of a run a server of PostgreSQL: that of `TEST_DATABASE_URL`, or one from the binaries of a package. */
export default async function setup(): Promise<() => Promise<void>> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given !== undefined && given !== '') {
    process.env[TEST_SERVER] = given;
    return () => Promise.resolve();
  }
  // Databases of tests need to survive nothing.
  const server = await startPostgres(['fsync=off', 'full_page_writes=off', 'synchronous_commit=off']);
  process.env[TEST_SERVER] = server.url;
  return () => server.remove();
}
