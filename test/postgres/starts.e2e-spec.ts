import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BuiltServer } from '../support/built-server.js';
import { TestDatabase } from '../support/database.js';
import { writePackage } from '../support/outside-extension.js';
import { ADMIN } from '../support/server.js';

const EXTENSIONS = ['herald/user-notes', 'herald/security-alerts', 'herald/slack-notifier'];
const ADMIN_VARIABLES = { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password };

/** Makes a table, then says something that SQLite alone understands. */
const HALF = `
import { defineExtension, Module } from 'herald/extension-api';
class Half1796000000009 {
  name = 'Half1796000000009';
  async up(runner) {
    await runner.query('CREATE TABLE "first_half" ("id" text PRIMARY KEY NOT NULL)');
    await runner.query('CREATE TABLE "second_half" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL)');
  }
  async down() {}
}
class HalfModule {}
Module({})(HalfModule);
export default defineExtension({
  name: 'half', version: '1.0.0', requires: '*', migrations: [Half1796000000009], module: HalfModule,
});
`;

// Each start takes seconds of a processor.
describe('starts on an empty database of PostgreSQL', { timeout: 60_000 }, () => {
  let database: TestDatabase;
  let client: Client;
  const servers: BuiltServer[] = [];
  beforeEach(async () => {
    database = await TestDatabase.create();
    client = new Client({ connectionString: database.environment['DATABASE_URL'] });
    await client.connect();
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop('SIGKILL')));
    await client.end();
    await database.remove();
  });

  const ask = async (sql: string) => (await client.query<Record<string, unknown>>(sql)).rows;

  function spawn(environment: Record<string, string> = {}): BuiltServer {
    const server = BuiltServer.spawn({ ...database.environment, LOG_LEVEL: 'info', ...environment });
    servers.push(server);
    return server;
  }

  /** Starts what must not start, and returns its last line, which is all that it says of the reason. */
  async function refusal(environment: Record<string, string> = {}): Promise<string> {
    const server = spawn(environment);
    expect(await server.exited, server.output).toEqual({ code: 1, signal: null });
    expect(server.output).not.toMatch(/\s+at .+:\d+:\d+/);
    return server.output.trim().split('\n').at(-1) ?? '';
  }

  it('at the same moment make everything once', async () => {
    const started = await Promise.all(
      Array.from({ length: 5 }, () =>
        BuiltServer.start({
          ...database.environment,
          ...ADMIN_VARIABLES,
          HERALD_EXTENSIONS: EXTENSIONS.join(),
          SLACK_WEBHOOK_URL: 'https://slack.example/hook',
        }),
      ),
    );
    servers.push(...started);
    const migrations = await ask('SELECT name, count(*)::int AS times FROM migrations GROUP BY name');
    expect(migrations.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['PostgresSchema1795600000000', 'UserNotes1796000000000', 'SecurityAlerts1796000000001']),
    );
    expect(migrations.filter(({ times }) => times !== 1)).toEqual([]);
    expect(await ask('SELECT email, role FROM users')).toEqual([{ email: ADMIN.email, role: 'admin' }]);
    expect(await ask(`SELECT type FROM events WHERE published AND type = 'user.registered'`)).toHaveLength(1);
    expect(await ask('SELECT name FROM extensions ORDER BY name')).toEqual(
      EXTENSIONS.map((name) => ({ name: name.replace('herald/', '') })).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    );
    for (const { url } of started) expect((await fetch(`${url}/readiness`)).status).toBe(200);
  });

  it('all stop at a migration that only SQLite understands, with a sentence, and nothing of it is kept', async () => {
    const folder = writePackage({ 'package.json': '{"type":"module","main":"index.js"}', 'index.js': HALF });
    try {
      const said = await Promise.all([1, 2, 3].map(() => refusal({ HERALD_EXTENSIONS: folder })));
      for (const line of said) {
        expect(line).toContain('The migration Half1796000000009 failed, and nothing of it was kept');
        expect(line).toContain('syntax error at or near "AUTOINCREMENT"');
      }
      expect(await ask(`SELECT tablename FROM pg_tables WHERE tablename LIKE '%_half'`)).toEqual([]);
      expect(await ask(`SELECT name FROM migrations WHERE name LIKE 'Half%'`)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are refused in a sentence without the password when there is no database to use', async () => {
    const secret = `Secret-${randomUUID()}`;
    const url = new URL(database.environment['DATABASE_URL'] ?? '');
    const says = async (change: (changed: URL) => void) => {
      const changed = new URL(url);
      change(changed);
      const said = await refusal({ DATABASE_URL: changed.href });
      expect(said).toContain('The PostgreSQL database of DATABASE_URL cannot be used: ');
      expect(servers.at(-1)?.output).not.toContain(secret);
      return said;
    };
    const free = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => free.once('listening', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    expect(
      await says((changed) => {
        changed.port = String(port);
        changed.password = secret;
      }),
    ).toContain('ECONNREFUSED');
    expect(await says((changed) => (changed.password = secret))).toContain('password authentication failed');
    expect(await says((changed) => (changed.pathname = '/nowhere'))).toContain('database "nowhere" does not exist');
    expect(await says((changed) => (changed.hostname = 'nowhere.invalid'))).toContain('nowhere.invalid');
  });

  it('are refused in a sentence when the user may make no tables', async () => {
    const name = `guest_${randomUUID().replaceAll('-', '')}`;
    await client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'guest'`);
    try {
      const url = new URL(database.environment['DATABASE_URL'] ?? '');
      url.username = name;
      url.password = 'guest';
      expect(await refusal({ DATABASE_URL: url.href })).toContain('permission denied for schema public');
    } finally {
      await client.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    }
  });
});
