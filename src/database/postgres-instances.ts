import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { Client, Notification } from 'pg';
import { Instances, type Duty, type Signal } from './instances.js';
import { DatabaseServerError } from './open-writer.js';
import type { UnitOfWork } from './unit-of-work.js';

/** How often the connection is asked whether it lives, leases are renewed, and everybody looks without a signal. */
const BEAT_MS = 1000;
/** A connection that has not answered for this long is replaced. */
const ANSWER_MS = 1500;
/** How long a duty stays with an instance that says nothing any more. */
const LEASE_MS = 4000;
/** How long the first connection may take. */
const FIRST_MS = 10_000;
/** The pause before another try to connect. */
const RETRY_MS = 250;

const CHANNELS = { events: 'herald_events', jobs: 'herald_jobs', announced: 'herald_announced' } as const;

const LISTEN = Object.values(CHANNELS)
  .map((channel) => `LISTEN ${channel}`)
  .join('; ');

const NOTIFY = `SELECT pg_notify(channel, '') FROM unnest($1::text[]) AS channel`;

/** Leases that are free, have run out, or are one's own. By the clock of the server, which all instances share. */
const RENEW = `
  INSERT INTO leases (name, owner, until)
  SELECT name, $2, clock_timestamp() + $3::int * interval '1 ms' FROM unnest($1::text[]) AS name ORDER BY name
  ON CONFLICT (name) DO UPDATE SET owner = EXCLUDED.owner, until = EXCLUDED.until
  WHERE leases.owner = EXCLUDED.owner OR leases.until < clock_timestamp()
  RETURNING name`;

interface SharedDuty extends Duty {
  isMine: boolean;
  /** One step after the other: it never begins while it still ends. */
  step: Promise<unknown>;
}

/**
 * Instances that share a PostgreSQL database, over one connection of their own: LISTEN and NOTIFY, and leases in a table.
 *
 * The connection is asked each second whether it still answers: one that is half open, which a network can leave behind
 * without either end noticing, is replaced within three seconds, and what was missed meanwhile is looked for.
 */
export class PostgresInstances extends Instances {
  private readonly logger = new Logger('Instances');
  private readonly id = randomUUID();
  private readonly listeners: Record<Signal, Set<() => void>> = { events: new Set(), jobs: new Set() };
  private readonly announced = new Set<(content: string) => void>();
  private readonly missed = new Set<() => void>();
  private readonly duties = new Map<string, SharedDuty>();
  private readonly unsent = new Set<Signal>();
  private client: Client | undefined;
  private sending: Promise<void> | undefined;
  /** The last question to the server: it takes one at a time. */
  private asked: Promise<unknown> = Promise.resolve();
  private isBeating = false;
  private beatTimer: NodeJS.Timeout | undefined;
  /** Ends what may be another instance's by then. */
  private leaseTimer: NodeJS.Timeout | undefined;
  private lookedAt = Number.NEGATIVE_INFINITY;
  /** Whether the connection was lost, and nobody has answered since. */
  private isLost = false;
  private isOver = false;

  private constructor(
    private readonly open: (timeoutMs: number) => Client,
    private readonly unitOfWork: UnitOfWork,
  ) {
    super();
  }

  /** Connects. @throws what the server answers. */
  static async connect(url: string, unitOfWork: UnitOfWork): Promise<PostgresInstances> {
    // Loaded only where it is used.
    const { default: pg } = await import('pg');
    const open = (timeoutMs: number): Client =>
      new pg.Client({
        connectionString: url,
        application_name: 'herald instance',
        connectionTimeoutMillis: timeoutMs,
        keepAlive: true,
      });
    const instances = new PostgresInstances(open, unitOfWork);
    await instances.connect(FIRST_MS).catch((error: unknown) => {
      throw new DatabaseServerError(error);
    });
    instances.scheduleBeat(BEAT_MS);
    return instances;
  }

  signal(what: Signal): void {
    this.unsent.add(what);
    this.sending ??= this.send();
  }

  onSignal(what: Signal, listener: () => void): void {
    this.listeners[what].add(listener);
  }

  async announce(content: string): Promise<void> {
    const message = JSON.stringify({ from: this.id, content });
    await this.unitOfWork.run((tx) => tx.query('SELECT pg_notify($1, $2)', [CHANNELS.announced, message]));
  }

  onAnnounced(listener: (content: string) => void): void {
    this.announced.add(listener);
  }

  onMissed(listener: () => void): void {
    this.missed.add(listener);
  }

  async share(name: string, duty: Duty): Promise<void> {
    this.duties.set(name, { ...duty, isMine: false, step: Promise.resolve() });
    await this.renew([name]).catch((error: unknown) => {
      this.logger.warn({ msg: `it is not known yet whose "${name}" is`, err: error });
    });
    await this.duties.get(name)?.step;
  }

  async leave(): Promise<void> {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.beatTimer);
    clearTimeout(this.leaseTimer);
    await this.sending;
    const { client } = this;
    this.client = undefined;
    if (!client) return;
    try {
      await this.ask(client, 'DELETE FROM leases WHERE owner = $1', [this.id]);
      await client.end();
    } catch (error) {
      // They run out by themselves.
      this.logger.warn({ msg: 'the leases of this instance were not given back', err: error });
    }
  }

  private scheduleBeat(ms: number): void {
    clearTimeout(this.beatTimer);
    if (this.isOver) return;
    this.beatTimer = setTimeout(() => void this.beat(), ms);
    this.beatTimer.unref();
  }

  private async beat(): Promise<void> {
    if (this.isBeating) return;
    this.isBeating = true;
    try {
      if (!this.client) await this.connect();
      await this.renew([...this.duties.keys()]);
      if (this.isLost) this.logger.log('the connection of this instance was replaced');
      this.isLost = false;
    } catch (error) {
      const level = this.isLost ? 'debug' : 'warn';
      this.isLost = true;
      if (!this.isOver)
        this.logger[level]({ msg: 'the connection of this instance is lost: replacing it', err: error });
      this.drop();
    }
    this.isBeating = false;
    this.scheduleBeat(this.client ? BEAT_MS : RETRY_MS);
    if (performance.now() - this.lookedAt >= BEAT_MS - RETRY_MS) this.lookEverywhere();
  }

  /** Lets everybody look without a signal. */
  private lookEverywhere(): void {
    this.lookedAt = performance.now();
    for (const set of Object.values(this.listeners)) set.forEach((listener) => listener());
  }

  private async connect(timeoutMs = ANSWER_MS): Promise<void> {
    const client = this.open(timeoutMs);
    // An error without a handler would end the process.
    client.on('error', (error) => {
      this.logger.debug({ msg: 'the connection of this instance broke', err: error });
      this.lose(client);
    });
    client.on('end', () => this.lose(client));
    client.on('notification', (message) => this.hear(client, message));
    try {
      await answer(client.connect(), timeoutMs);
      await this.ask(client, LISTEN);
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
    if (this.isOver) return void client.end().catch(() => undefined);
    this.client = client;
    // From here on everything is heard; what was said before, by whomever, is not.
    this.lookEverywhere();
    this.missed.forEach((listener) => listener());
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
    if (!client) return;
    (client as unknown as { connection: { stream: { destroy: () => void } } }).connection.stream.destroy();
  }

  private hear(client: Client, { channel, payload = '', processId }: Notification): void {
    if (channel === CHANNELS.announced) return this.hearAnnounced(payload);
    // Signals go out over this very connection.
    if (processId === (client as unknown as { processID: number }).processID) return;
    for (const what of ['events', 'jobs'] as const) {
      if (channel === CHANNELS[what]) this.listeners[what].forEach((listener) => listener());
    }
  }

  private hearAnnounced(payload: string): void {
    try {
      const { from, content } = JSON.parse(payload) as { from: string; content: string };
      if (from !== this.id) this.announced.forEach((listener) => listener(content));
    } catch (error) {
      // Whoever may connect to the database may say anything here.
      this.logger.warn({ msg: 'what was announced could not be understood', err: error });
    }
  }

  /** Asks the server one question after the other; one that is not answered in time is given up, with the connection. */
  private async ask<T extends object>(client: Client, sql: string, values: readonly unknown[] = []): Promise<T[]> {
    const answered = this.asked.then(async () => answer(client.query<T>(sql, [...values])));
    this.asked = answered.catch(() => undefined);
    return (await answered).rows;
  }

  private async send(): Promise<void> {
    try {
      while (this.unsent.size > 0) {
        const channels = [...this.unsent].map((what) => CHANNELS[what]);
        this.unsent.clear();
        const { client } = this;
        if (client) await this.ask(client, NOTIFY, [channels]);
      }
    } catch (error) {
      // The others look within a second all the same.
      this.logger.debug({ msg: 'a signal was not sent', err: error });
    } finally {
      this.sending = undefined;
    }
  }

  /** Takes the leases that are free, and keeps those that are this instance's. */
  private async renew(names: readonly string[]): Promise<void> {
    const { client } = this;
    if (!client) return;
    const rows = await this.ask<{ name: string }>(client, RENEW, [names, this.id, LEASE_MS]);
    // Whoever cannot say that a duty is its own must think that it is another's.
    clearTimeout(this.leaseTimer);
    this.leaseTimer = setTimeout(() => this.endAll(), LEASE_MS - ANSWER_MS);
    this.leaseTimer.unref();
    const mine = new Set(rows.map(({ name }) => name));
    for (const name of names) {
      const duty = this.duties.get(name);
      if (duty) this.turn(name, duty, mine.has(name));
    }
  }

  private endAll(): void {
    for (const [name, duty] of this.duties) this.turn(name, duty, false);
  }

  private turn(name: string, duty: SharedDuty, isMine: boolean): void {
    if (duty.isMine === isMine) return;
    duty.isMine = isMine;
    this.logger.log({ msg: isMine ? `"${name}" is this instance's now` : `"${name}" is not this instance's any more` });
    const step = duty.step
      .then(() => (isMine ? duty.begin() : duty.end()))
      .catch((error: unknown) => {
        this.logger.error({ msg: `"${name}" could not be taken over or given up`, err: error });
        // The lease is kept, so that nobody else would begin: the next beat tries it again.
        if (isMine && duty.step === step) duty.isMine = false;
      });
    duty.step = step;
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
