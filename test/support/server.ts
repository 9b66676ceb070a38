import { PassThrough } from 'node:stream';
import type { Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp, startApp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/config.js';
import { AuditTrail } from '../../src/events/audit-trail.service.js';
import { Reconciliation } from '../../src/events/reconciliation.service.js';
import { Api } from './api.js';
import { Contract } from './contract.js';
import { TestDatabase } from './database.js';
import { logRecord, recordEnvironment, recordStart } from './recorder.js';
import { SseClient, type SseOptions } from './sse-client.js';
import { WsClient } from './ws-client.js';

/** Where servers of this process log to: standard output belongs to the tests. */
const LOGS = logRecord() ?? new PassThrough().resume();

export const ADMIN = { email: 'admin@example.com', password: 'Admin-password-1' };

/** A real server on a real port with a real database, in this process. */
export class TestServer {
  private readonly clients = new Set<{ close(): void }>();
  /** Set by a test after which jobs are gone that the books still ask for: it moved the clock past their retention. */
  clockWasMoved = false;

  private constructor(
    private readonly database: TestDatabase,
    private readonly environment: Record<string, string>,
    private readonly extras: Type[],
    public app: NestFastifyApplication,
    public url: string,
  ) {}

  static async start(environment: Record<string, string> = {}, extras: Type[] = []): Promise<TestServer> {
    return TestServer.startOn(await TestDatabase.create(), environment, extras);
  }

  /** Starts another instance on the same database, which must be closed before this one. */
  async startAnother(environment: Record<string, string> = {}): Promise<TestServer> {
    return TestServer.startOn(this.database.lent(), { ...this.environment, PORT: '0', ...environment }, this.extras);
  }

  private static async startOn(
    database: TestDatabase,
    environment: Record<string, string>,
    extras: Type[],
  ): Promise<TestServer> {
    const full = {
      NODE_ENV: 'test',
      HOST: '127.0.0.1',
      PORT: '0',
      ...database.environment,
      LOG_LEVEL: 'trace',
      RATE_LIMIT_MAX: '0',
      AUTH_RATE_LIMIT_MAX: '0',
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      ...environment,
    };
    try {
      const { app, url } = await boot(full, extras);
      return new TestServer(database, full, extras, app, url);
    } catch (error) {
      await database.remove();
      throw error;
    }
  }

  /** Stops the server gracefully and starts it again on the same file and port, with other variables if need be. */
  async restart(environment: Record<string, string> = {}): Promise<void> {
    await this.app.close();
    Object.assign(this.environment, environment);
    await this.boot();
  }

  /** Changes the database of a server that is closed, then starts it again. */
  async restartAfter(change: (app: NestFastifyApplication) => Promise<unknown>): Promise<void> {
    // An application that is built but not started: it can write, and delivers nothing.
    const app = await createApp(loadConfig(this.environment), [], LOGS);
    await change(app);
    await app.close();
    await this.boot();
  }

  private async boot(): Promise<void> {
    const { app, url } = await boot({ ...this.environment, PORT: new URL(this.url).port }, this.extras);
    this.app = app;
    this.url = url;
  }

  /** The URL of its database. */
  get databaseUrl(): string {
    return this.environment['DATABASE_URL'] ?? '';
  }

  get api(): Api {
    return new Api(`${this.url}/api/v1`, Contract.of(this.app));
  }

  async webSocket(headers: Record<string, string> = {}, path = '/ws'): Promise<WsClient> {
    const client = await WsClient.open(`${this.url.replace('http', 'ws')}${path}`, headers);
    this.clients.add(client);
    return client;
  }

  /** Opens a WebSocket, authenticates it and subscribes it. */
  async subscriber(token: string, events: string[] = ['*']): Promise<WsClient> {
    const client = await this.webSocket();
    client.send({ type: 'auth', token }, { type: 'subscribe', events });
    await client.next(({ type }) => type === 'subscribed');
    return client;
  }

  async stream(options: SseOptions): Promise<SseClient> {
    const client = await SseClient.open(`${this.url}/api/v1/events/stream`, options);
    this.clients.add(client);
    return client;
  }

  /** Stops the server; fails when it has left anything that should not be there. */
  async close(): Promise<void> {
    for (const client of this.clients) client.close();
    try {
      await this.verifyBooks();
    } finally {
      await this.app.close();
      await this.database.remove();
    }
  }

  /** Whatever a test has done: every event has its jobs, every delivery its attempt, and the chain of the trail holds. */
  private async verifyBooks(): Promise<void> {
    const { counts } = await this.app.get(Reconciliation).run();
    const { broken } = await this.app.get(AuditTrail).verify();
    const excused = this.clockWasMoved ? 'events_without_jobs' : '';
    const wrong = Object.entries(counts).filter(([name, count]) => count > 0 && name !== excused);
    if (broken || wrong.length > 0) throw new Error(`left behind: ${JSON.stringify({ wrong, broken })}`);
  }
}

async function boot(environment: Record<string, string>, extras: Type[]) {
  const config = loadConfig(environment);
  const app = await createApp(config, extras, LOGS);
  const url = await startApp(app, config);
  recordStart();
  recordEnvironment(environment);
  return { app, url };
}
