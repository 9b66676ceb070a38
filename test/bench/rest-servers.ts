import 'reflect-metadata';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import Database from 'better-sqlite3';
import { createApp, startApp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/config.js';

/**
 * What is measured, all in one process on one core, never two of them at once: the service, a bare Nest and Fastify
 * route that answers the same JSON, and the bare insert of the same row.
 */
const folder = mkdtempSync(join(tmpdir(), 'herald-bench-'));
const config = loadConfig({
  NODE_ENV: 'production',
  JWT_SECRET: randomBytes(32).toString('base64'),
  DATA_KEY: randomBytes(32).toString('base64'),
  HOST: '127.0.0.1',
  PORT: '0',
  DATABASE_URL: `sqlite:${join(folder, 'herald.sqlite')}`,
  SQLITE_SYNCHRONOUS: process.env['SQLITE_SYNCHRONOUS'],
  ADMIN_EMAIL: 'admin@example.com',
  ADMIN_PASSWORD: 'Admin-password-1',
  MAIL_URL: 'smtp://127.0.0.1:1',
  RATE_LIMIT_MAX: '1000000',
});
const app = await createApp(config);
const url = await startApp(app, config);

const profile = {
  id: randomUUID(),
  email: 'admin@example.com',
  role: 'admin',
  emailVerified: false,
  mfaEnabled: false,
  createdAt: Date.now(),
  updatedAt: Date.now(),
};

@Controller('me')
class BareController {
  @Get()
  read(): { data: typeof profile } {
    return { data: profile };
  }
}
@Module({ controllers: [BareController] })
class BareModule {}
const bare = await NestFactory.create<NestFastifyApplication>(BareModule, new FastifyAdapter(), { logger: false });
await bare.listen(0, '127.0.0.1');

const database = new Database(join(folder, 'bare.sqlite'));
database.pragma('journal_mode = WAL');
database.pragma(`synchronous = ${config.SQLITE_SYNCHRONOUS}`);
database.exec(
  `CREATE TABLE api_keys (id text PRIMARY KEY NOT NULL, userId text NOT NULL, name text NOT NULL, hash text NOT NULL UNIQUE,
     prefix text NOT NULL, scopes text NOT NULL, expiresAt bigint, lastUsedAt bigint, createdAt bigint NOT NULL);
   CREATE INDEX api_keys_user ON api_keys (userId)`,
);
const insert = database.prepare('INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, ?)');

/** Inserts rows alone, each with a commit of its own, for a while; returns how many per second. */
function insertFor(ms: number): number {
  const startedAt = performance.now();
  let count = 0;
  for (; performance.now() - startedAt < ms; count += 1) {
    const hash = randomBytes(32).toString('hex');
    insert.run(randomUUID(), profile.id, 'A program', hash, 'oapi_1234', '["events:read"]', Date.now());
  }
  return count / ((performance.now() - startedAt) / 1000);
}

process.on('message', (message: { insertFor?: number; cpu?: true; stop?: true }) => {
  if (message.insertFor !== undefined) process.send?.({ perSecond: insertFor(message.insertFor) });
  if (message.cpu) process.send?.({ cpu: process.cpuUsage() });
  if (message.stop) {
    void Promise.all([app.close(), bare.close()]).finally(() => {
      database.close();
      rmSync(folder, { recursive: true });
      process.exit(0);
    });
  }
});
process.send?.({ port: Number(new URL(url).port), barePort: Number(new URL(await bare.getUrl()).port) });
