import { Logger } from '@nestjs/common';
import type { Client } from 'pg';
import { DatabaseServerError } from './open-writer.js';
import { insideOf } from './pg-inside.js';

/** How often the connection is asked whether it lives. */
export const BEAT_MS = 1000;
/** A connection that has not answered for this long is replaced. */
export const ANSWER_MS = 1500;
/** How long the first connection may take. */
const FIRST_MS = 10_000;
/** The pause before another try to connect. */
const RETRY_MS = 250;

/** As {@link WatchedConnection.ask}. */
export type Ask = <T extends object>(sql: string, values?: readonly unknown[]) => Promise<T[]>;

/** Whom a {@link WatchedConnection} is for. */
export interface Watcher {
  /** A connection is there, the first or the next one: what was said before it is not heard. */
  onOpened: () => void;
  /** Somebody else has notified a channel. */
  onNotified: (channel: string, payload: string) => void;
  /** Asks the server something, each second; when this fails the connection is replaced. */
  onBeat: () => Promise<void>;
  /** There is no connection, for so many ms by now; another try follows. */
  onLost: (ms: number) => void;
}

/**
 * A connection to PostgreSQL that is asked each second whether it still answers.
 *
 * One that is half open, which a network can leave behind without either end noticing, is replaced within three seconds.
 */
export class WatchedConnection {
  private readonly logger = new Logger('Instances');
  private client: Client | undefined;
  /** The last question to the server: it takes one at a time. */
  private asked: Promise<unknown> = Promise.resolve();
  private isBeating = false;
  private timer: NodeJS.Timeout | undefined;
  /** Since when nobody has answered, by `performance.now()`. */
  private lostAt: number | undefined;
  private direct = true;
  private isOver = false;

  private constructor(
    private readonly make: (timeoutMs: number) => Client,
    private readonly listen: string,
    private readonly watcher: Watcher,
  ) {}

  /** @param channels - what to hear. @throws DatabaseServerError */
  static async open(url: string, channels: readonly string[], watcher: Watcher): Promise<WatchedConnection> {
    // Loaded only where it is used.
    const { default: pg } = await import('pg');
    const make = (timeoutMs: number): Client =>
      new pg.Client({
        connectionString: url,
        application_name: 'herald instance',
        connectionTimeoutMillis: timeoutMs,
        keepAlive: true,
      });
    const listen = channels.map((channel) => `LISTEN ${channel}`).join('; ');
    const connection = new WatchedConnection(make, listen, watcher);
    await connection.connect(FIRST_MS).catch((error: unknown) => {
      throw new DatabaseServerError(error);
    });
    connection.scheduleBeat(BEAT_MS);
    return connection;
  }

  /** Whether the server itself is at the other end, and not a pooler, which gives connections numbers of its own. */
  get isDirect(): boolean {
    return this.direct;
  }

  /** Whether there is a connection at present. */
  get isOpen(): boolean {
    return this.client !== undefined;
  }

  /**
   * Asks the server one question after the other.
   *
   * @throws when there is no connection, or no answer within 1.5 s.
   */
  async ask<T extends object>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
    const { client } = this;
    if (!client) throw new Error('The connection between instances is lost');
    return this.askOver<T>(client, sql, values);
  }

  /** Ends the connection, after a last question. */
  async close(sql: string, values: readonly unknown[]): Promise<void> {
    this.isOver = true;
    clearTimeout(this.timer);
    const { client } = this;
    this.client = undefined;
    if (!client) return;
    await this.askOver(client, sql, values);
    await client.end();
  }

  private async askOver<T extends object>(client: Client, sql: string, values: readonly unknown[] = []): Promise<T[]> {
    const answered = this.asked.then(async () => answer(client.query<T>(sql, [...values])));
    this.asked = answered.catch(() => undefined);
    return (await answered).rows;
  }

  private scheduleBeat(ms: number): void {
    clearTimeout(this.timer);
    if (this.isOver) return;
    this.timer = setTimeout(() => void this.beat(), ms);
    this.timer.unref();
  }

  private async beat(): Promise<void> {
    if (this.isBeating) return;
    this.isBeating = true;
    try {
      if (!this.client) await this.connect();
      await this.watcher.onBeat();
      if (this.lostAt !== undefined) this.logger.log('the connection of this instance was replaced');
      this.lostAt = undefined;
    } catch (error) {
      const level = this.lostAt === undefined ? 'warn' : 'debug';
      if (!this.isOver)
        this.logger[level]({ msg: 'the connection of this instance is lost: replacing it', err: error });
      this.drop();
      this.lostAt ??= performance.now();
      this.watcher.onLost(performance.now() - this.lostAt);
    }
    this.isBeating = false;
    this.scheduleBeat(this.client ? BEAT_MS : RETRY_MS);
  }

  private async connect(timeoutMs = ANSWER_MS): Promise<void> {
    const client = this.make(timeoutMs);
    // An error without a handler would end the process.
    client.on('error', (error) => {
      this.logger.debug({ msg: 'the connection of this instance broke', err: error });
      this.lose(client);
    });
    client.on('end', () => this.lose(client));
    client.on('notification', ({ channel, payload = '', processId }) => {
      // Who notifies over this very connection knows it.
      if (processId === insideOf(client).processID) return;
      this.watcher.onNotified(channel, payload);
    });
    try {
      await answer(client.connect(), timeoutMs);
      await this.askOver(client, this.listen);
      const [{ pid } = { pid: 0 }] = await this.askOver<{ pid: number }>(client, 'SELECT pg_backend_pid() AS pid');
      this.direct = pid === insideOf(client).processID;
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
    if (this.isOver) return void client.end().catch(() => undefined);
    this.client = client;
    this.watcher.onOpened();
  }

  private lose(client: Client): void {
    if (this.client !== client) return;
    this.drop();
    this.scheduleBeat(RETRY_MS);
  }

  /** Lets go of the connection without waiting for an answer that may never come. */
  private drop(): void {
    const { client } = this;
    this.client = undefined;
    // Nobody waits for what the old connection still owes.
    this.asked = Promise.resolve();
    if (client) insideOf(client).connection.stream.destroy();
  }
}

/** Waits for an answer of the server's, but not longer than one may take. */
async function answer<T>(question: Promise<T>, ms = ANSWER_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The server has not answered within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([question, late]);
  } finally {
    clearTimeout(timer);
    // Whatever comes of it later concerns nobody any more.
    question.catch(() => undefined);
  }
}
