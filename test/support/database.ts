import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Client } from 'pg';

/** The variable with the URL of the server that tests of PostgreSQL make their databases on. */
export const TEST_SERVER = 'HERALD_TEST_SERVER';

/** Whether tests that hold on both databases run on PostgreSQL here. */
export const onPostgres = process.env['HERALD_TEST_ENGINE'] === 'postgres';

/** An empty database for one server, and the variables that it needs for it. */
export class TestDatabase {
  private constructor(
    readonly environment: Record<string, string>,
    private readonly take: () => Promise<unknown>,
  ) {}

  static async create(): Promise<TestDatabase> {
    if (onPostgres) return TestDatabase.createOn(process.env[TEST_SERVER] ?? '');
    const folder = await mkdtemp(join(tmpdir(), 'herald-'));
    // Here no power is cut, so nothing needs to wait for the disk.
    const environment = { DATABASE_URL: `sqlite:${join(folder, 'herald.sqlite')}`, SQLITE_SYNCHRONOUS: 'NORMAL' };
    return new TestDatabase(environment, () => rm(folder, { recursive: true, force: true }));
  }

  /** The same on a server of PostgreSQL. */
  static async createOn(server: string): Promise<TestDatabase> {
    const name = `herald_${randomUUID().replaceAll('-', '')}`;
    await ask(server, `CREATE DATABASE ${name}`);
    const url = new URL(server);
    url.pathname = `/${name}`;
    const environment = {
      DATABASE_URL: url.href,
      JWT_SECRET: randomBytes(48).toString('base64'),
      DATA_KEY: randomBytes(32).toString('base64'),
    };
    return new TestDatabase(environment, () => ask(server, `DROP DATABASE ${name} WITH (FORCE)`));
  }

  /** Runs statements behind the back of every server. */
  async tamper(sql: string): Promise<void> {
    const url = this.environment['DATABASE_URL'] ?? '';
    if (url.startsWith('postgres')) return ask(url, sql);
    const file = new Database(url.replace('sqlite:', ''));
    try {
      file.exec(sql);
    } finally {
      file.close();
    }
  }

  /** The same database for another server, which does not remove it. */
  lent(): TestDatabase {
    return new TestDatabase(this.environment, () => Promise.resolve());
  }

  async remove(): Promise<void> {
    await this.take();
  }
}

async function ask(server: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
