import { randomInt, randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { PassThrough, type Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../test/support/random.js';
import type { Authenticator } from '../auth/authenticator.service.js';
import type { Config } from '../config/config.js';
import type { AuditTrail } from '../events/audit-trail.service.js';
import type { EventType } from '../events/catalogue.js';
import type { DomainEvent } from '../events/domain-event.js';
import type { EventBus, EventHandler } from '../events/event-bus.js';
import { checkFilters, matchesFilter } from '../events/event-filter.js';
import type { EventJournal, JournalQuery } from '../events/event-journal.service.js';
import type { EventRelay } from '../events/event-relay.service.js';
import type { EventBatch } from './frames.js';
import { RealtimeConnection } from './realtime-connection.js';
import { RealtimeHub } from './realtime-hub.service.js';
import { RealtimeMetrics } from './realtime-metrics.service.js';
import { Replays } from './replays.service.js';

const SEED = Number(process.env['REPLAY_SEED'] ?? randomInt(2 ** 31));
const TYPES: EventType[] = ['login.success', 'login.failed', 'logout', 'mfa.enabled'];

class RecordingConnection extends RealtimeConnection {
  readonly seqs: number[] = [];

  constructor() {
    super(new PassThrough() as unknown as Socket, null);
    this.principal = {
      userId: 'u',
      email: 'u@example.com',
      role: 'user',
      sessionId: 's',
      expiresAt: Number.POSITIVE_INFINITY,
    };
  }
  readonly transport = 'sse';
  protected readonly keepAliveAt = Number.POSITIVE_INFINITY;
  protected keepAlive(): void {}
  protected writeExpiring(): void {}
  protected writeEnd(): void {}
  sizeOf(): number {
    return 0;
  }
  protected get sink(): Writable {
    return this.socket;
  }
  protected writeEvents({ frames }: EventBatch): void {
    this.seqs.push(...frames.map(({ event }) => event.seq));
  }
}

/** A journal whose reads take their time, and a relay that lags behind it: every interleaving can happen. */
class World {
  readonly rows: DomainEvent[] = [];
  position = 0;
  readonly hub: RealtimeHub;
  private handler: EventHandler = () => undefined;
  private readonly next: () => number;

  constructor(seed: number) {
    this.next = seededRandom(seed);
    const slowly = async <T>(sample: () => T): Promise<T> => {
      for (let n = this.random(4); n > 0; n -= 1) await this.turn();
      const value = sample();
      for (let n = this.random(4); n > 0; n -= 1) await this.turn();
      return value;
    };
    const journal = {
      head: () => slowly(() => this.rows.length),
      read: ({ afterSeq, throughSeq = Infinity, types, subjects, limit }: JournalQuery) =>
        slowly(() =>
          this.rows
            .filter(({ seq, type, subject }) => {
              if (seq <= afterSeq || seq > throughSeq) return false;
              return (!types || types.includes(type)) && (!subjects || subjects.includes(subject));
            })
            .slice(0, limit),
        ),
      committedAt: () => undefined,
    } as unknown as EventJournal;
    const bus = { subscribeAll: (handler: EventHandler) => (this.handler = handler) } as unknown as EventBus;
    const relay = Object.defineProperty({} as EventRelay, 'position', { get: () => this.position });
    const authenticator = {
      onSessionsEnded: () => undefined,
      onSessionsMissed: () => undefined,
      refresh: () => slowly(() => undefined),
    } as unknown as Authenticator;
    const metrics = new RealtimeMetrics();
    const replays = new Replays(journal, relay, authenticator, metrics);
    const config = { REALTIME_MAX_BUFFERED_BYTES: 1_000_000 } as Config;
    this.hub = new RealtimeHub(bus, journal, relay, replays, authenticator, {} as AuditTrail, metrics, config);
    this.hub.onModuleInit();
  }

  random(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** Lets everything else go on, while commits happen and the relay delivers some of them. */
  async turn(): Promise<void> {
    if (this.random(2) === 0) this.commit();
    if (this.random(2) === 0) this.deliver(this.random(3));
    await Promise.resolve();
  }

  commit(): void {
    const type = TYPES[this.random(TYPES.length)] ?? 'logout';
    const subject = this.random(4) === 0 ? 'stranger' : 'u';
    this.rows.push({ seq: this.rows.length + 1, id: `evt-${randomUUID()}`, type, subject } as DomainEvent);
  }

  /** Delivers, and flushes now and then. */
  deliver(count: number): void {
    for (const event of this.rows.slice(this.position, this.position + count)) {
      void this.handler(event);
      this.position = event.seq;
    }
  }

  visible(afterSeq: number, ...types: string[]): number[] {
    return this.rows
      .filter(({ seq, subject, type }) => seq > afterSeq && subject === 'u' && types.includes(type))
      .map(({ seq }) => seq);
  }
}

describe(`replay into live (REPLAY_SEED=${SEED})`, () => {
  it('of a new subscription is exactly what follows the cursor, in order', async () => {
    for (let run = 0; run < 500; run += 1) {
      const world = new World(SEED + run);
      for (let n = world.random(300); n > 0; n -= 1) world.commit();
      world.deliver(world.random(300));
      const cursor = world.random(world.rows.length + 1);
      const connection = new RecordingConnection();
      world.hub.add(connection);
      const filters = checkFilters(['login.*', 'logout']);
      await world.hub.replay(connection, filters, { afterSeq: cursor, complete: true });
      for (let n = 20; n > 0; n -= 1) await world.turn();
      world.deliver(Infinity);
      connection.sendWaiting();
      expect(connection.seqs, `run ${run}`).toEqual(world.visible(cursor, 'login.success', 'login.failed', 'logout'));
    }
  });

  it('of filters that overlap, one after the other, repeats and misses nothing', async () => {
    for (let run = 0; run < 500; run += 1) {
      const world = new World(SEED + run);
      for (let n = world.random(50); n > 0; n -= 1) await world.turn();
      const connection = new RecordingConnection();
      world.hub.add(connection);
      const due = new Set<number>();
      const promised: (() => number[])[] = [];
      for (let n = 1 + world.random(4); n > 0; n -= 1) {
        const filter = ['login.failed', 'login.*', 'logout', '*'][world.random(4)] ?? '*';
        const types = TYPES.filter((type) => matchesFilter(filter, type));
        let after = world.random(world.rows.length + 1);
        if (world.random(2) === 0) {
          await world.hub.replay(connection, [filter], { afterSeq: after, complete: true });
        } else {
          after = Math.max(connection.liveFrom, world.position);
          world.hub.subscribe(connection, [filter]);
        }
        promised.push(() => world.visible(after, ...types));
        for (let m = world.random(50); m > 0; m -= 1) await world.turn();
      }
      world.deliver(Infinity);
      connection.sendWaiting();
      for (const seqs of promised) for (const seq of seqs()) due.add(seq);
      expect(
        connection.seqs.toSorted((a, b) => a - b),
        `run ${run}`,
      ).toEqual([...due].toSorted((a, b) => a - b));
    }
  });
});
