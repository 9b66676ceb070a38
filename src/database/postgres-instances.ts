import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { Pool } from 'pg';
import { Instances, type Duty, type Signal, type Topic } from './instances.js';
import { GIVE_BACK, Leases } from './leases.js';
import { PATIENCE_MS, PoolWatch } from './pool-watch.js';
import type { UnitOfWork } from './unit-of-work.js';
import { BEAT_MS, WatchedConnection, type Ask } from './watched-connection.js';

const CHANNELS = { events: 'herald_events', jobs: 'herald_jobs', announced: 'herald_announced' } as const;

const NOTIFY = `SELECT pg_notify(channel, '') FROM unnest($1::text[]) AS channel`;

/**
 * Instances that share a PostgreSQL database: LISTEN and NOTIFY over one connection of each, which is watched
 * ({@link WatchedConnection}), and leases in a table ({@link Leases}). What was missed while there was no connection is looked
 * for.
 */
export class PostgresInstances extends Instances {
  private readonly logger = new Logger('Instances');
  private readonly id = randomUUID();
  private readonly listeners: Record<Signal, Set<() => void>> = { events: new Set(), jobs: new Set() };
  private readonly announced = new Map<Topic, (content: unknown) => void>();
  private readonly missed = new Set<() => void>();
  private readonly unsent = new Set<Signal>();
  private connection: WatchedConnection;
  private readonly ask: Ask = async (sql, values) => this.connection.ask(sql, values);
  private readonly leases = new Leases(this.id, this.ask);
  private sending: Promise<void> | undefined;
  private lookTimer: NodeJS.Timeout;
  private isOver = false;

  private constructor(private readonly unitOfWork: UnitOfWork) {
    super();
  }

  /**
   * Connects.
   *
   * @param pools - the other connections of this instance, which are watched over this one.
   * @throws DatabaseServerError
   */
  static async connect(url: string, unitOfWork: UnitOfWork, pools: readonly Pool[]): Promise<PostgresInstances> {
    const instances = new PostgresInstances(unitOfWork);
    const poolWatch = new PoolWatch(pools);
    instances.connection = await WatchedConnection.open(url, Object.values(CHANNELS), {
      onOpened: () => {
        instances.lookEverywhere();
        instances.missed.forEach((listener) => listener());
      },
      onNotified: (channel, payload) => instances.hear(channel, payload),
      onBeat: async () => {
        await instances.leases.renew();
        if (instances.connection.isDirect) await poolWatch.look(instances.ask);
      },
      onLost: (ms) => {
        if (ms >= PATIENCE_MS) poolWatch.lookAlone();
      },
    });
    instances.lookTimer = setInterval(() => instances.lookEverywhere(), BEAT_MS).unref();
    return instances;
  }

  signal(what: Signal): void {
    this.unsent.add(what);
    this.sending ??= this.send();
  }

  onSignal(what: Signal, listener: () => void): void {
    this.listeners[what].add(listener);
  }

  async announce(topic: Topic, content: unknown): Promise<void> {
    const message = JSON.stringify({ topic, content });
    await this.unitOfWork.run((tx) => tx.query('SELECT pg_notify($1, $2)', [CHANNELS.announced, message]));
  }

  onAnnounced(topic: Topic, listener: (content: unknown) => void): void {
    this.announced.set(topic, listener);
  }

  onMissed(listener: () => void): void {
    this.missed.add(listener);
  }

  share(name: string, duty: Duty): Promise<void> {
    return this.leases.share(name, duty);
  }

  async leave(): Promise<void> {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.lookTimer);
    this.leases.stop();
    await this.sending;
    try {
      await this.connection.close(GIVE_BACK, [this.id]);
    } catch (error) {
      // They run out by themselves.
      this.logger.warn({ msg: 'the leases of this instance were not given back', err: error });
    }
  }

  /** Lets everybody look without a signal. */
  private lookEverywhere(): void {
    for (const set of Object.values(this.listeners)) set.forEach((listener) => listener());
  }

  private hear(channel: string, payload: string): void {
    if (channel === CHANNELS.announced) return this.hearAnnounced(payload);
    for (const what of ['events', 'jobs'] as const) {
      if (channel === CHANNELS[what]) this.listeners[what].forEach((listener) => listener());
    }
  }

  private hearAnnounced(payload: string): void {
    try {
      // Its own too: where the answer to a commit was lost, nothing else tells this instance that it was one.
      const { topic, content } = JSON.parse(payload) as { topic: Topic; content: unknown };
      this.announced.get(topic)?.(content);
    } catch (error) {
      // Whoever may connect to the database may say anything here.
      this.logger.warn({ msg: 'what was announced could not be understood', err: error });
    }
  }

  private async send(): Promise<void> {
    try {
      while (this.unsent.size > 0) {
        const channels = [...this.unsent].map((what) => CHANNELS[what]);
        this.unsent.clear();
        // What nobody is told now, everybody finds within a second.
        if (this.connection.isOpen) await this.connection.ask(NOTIFY, [channels]);
      }
    } catch (error) {
      this.logger.debug({ msg: 'a signal was not sent', err: error });
    } finally {
      this.sending = undefined;
    }
  }
}
