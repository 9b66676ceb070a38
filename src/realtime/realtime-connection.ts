import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Principal } from '../common/principal.js';
import { matchesFilter } from '../events/event-filter.js';
import type { TimerWheel } from '../common/timer-wheel.js';
import type { Backlog } from './backlog.js';
import type { FanOut } from './fan-out.js';
import type { EventBatch } from './frames.js';

/** How a client is connected. */
export type Transport = 'websocket' | 'sse';

/** Why the service ends a connection. */
export const END_REASONS = ['token_expired', 'revoked', 'slow_consumer', 'shutdown'] as const;
/** Why the service ends a connection. */
export type EndReason = (typeof END_REASONS)[number];

/** How long before its end a client is told that its token expires. */
const EXPIRY_WARNING_MS = 30_000;
/** How long an ended connection may take to close. */
const GOODBYE_MS = 30_000;

/**
 * One live client, whatever its transport: who it is, what it wants, and how far it has come.
 *
 * The transports differ only in how a frame is written and how a connection ends.
 */
export abstract class RealtimeConnection {
  readonly id = randomUUID();
  abstract readonly transport: Transport;
  /** Each filter with the journal position after which everything it lets through is sent. */
  readonly filters = new Map<string, number>();
  /** The journal position up to which a replay has sent everything; what follows is sent live. */
  liveFrom = 0;
  /** Where events wait for it while many come. */
  fanOut: FanOut | undefined;
  /** What calls {@link tick} when something is due. */
  wheel: TimerWheel<RealtimeConnection> | undefined;
  /** Where it is when bytes may wait for it: see {@link noteWaiting}. */
  backlog: Backlog | undefined;
  private owner: Principal | undefined;
  /** While true, nothing is sent live: the replay goes on until it has caught up with the relay. */
  replaying = false;
  /** Resolves once what the service itself replays to it, after a change of role, is through. */
  settled: Promise<void> = Promise.resolve();
  /** The id of the last event sent, which is the one a client resumes from. */
  lastEventId: string | undefined;
  /** Events that were sent. */
  deliveries = 0;
  /** Writes that they were sent with. */
  writes = 0;
  /** Why the service ended it, if it did. */
  endReason: EndReason | undefined;
  /** When the service ended it, in epoch milliseconds; undefined while it lives. */
  private endedAt: number | undefined;

  /** When it was opened, in epoch ms. */
  readonly connectedAt = Date.now();
  /** When its client is told that its token expires, in epoch ms. */
  private warnAt = Number.POSITIVE_INFINITY;

  /**
   * @param socket - what carries the connection.
   * @param ip - where it comes from.
   */
  constructor(
    protected readonly socket: Socket,
    readonly ip: string | null,
  ) {}

  /** Undefined until the client has authenticated. */
  get principal(): Principal | undefined {
    return this.owner;
  }

  set principal(principal: Principal | undefined) {
    this.owner = principal;
    const warnAt = (principal?.expiresAt ?? Number.POSITIVE_INFINITY) - EXPIRY_WARNING_MS;
    // Who comes with a token that is about to expire knows it.
    this.warnAt = warnAt > Date.now() ? warnAt : Number.POSITIVE_INFINITY;
    this.schedule();
  }

  /** True once it was ended or its client is gone: nothing can be sent any more. */
  get isOver(): boolean {
    return this.endedAt !== undefined || this.socket.destroyed;
  }

  /** Sends events, in one write. */
  send(batch: EventBatch): void {
    if (this.endedAt !== undefined) return;
    this.writeEvents(batch);
    this.lastEventId = batch.lastEventId;
    this.deliveries += batch.frames.length;
    this.writes += 1;
    if (this.bufferedBytes > 0) this.noteWaiting();
  }

  /** Has an eye kept on what waits for it: something was written that its client may not have taken. */
  protected noteWaiting(): void {
    this.backlog?.add(this);
  }

  /** Sends what waits for it, so that what is written next comes after it. */
  sendWaiting(): void {
    this.fanOut?.flushOne(this);
  }

  /** Tells the client why, and closes; nothing is sent after it. */
  end(reason: EndReason): void {
    // The last event first, then the close; but to a slow client nothing is added.
    if (reason !== 'slow_consumer') this.sendWaiting();
    if (this.endedAt !== undefined) return;
    this.endedAt = Date.now();
    this.endReason = reason;
    this.schedule();
    this.writeEnd(reason);
  }

  /** Cuts the connection, whatever still waits on it. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Bytes that were sent and that the system has not taken yet. */
  get bufferedBytes(): number {
    return this.sink.writableLength;
  }

  /** Resolves once more can be sent, or the connection is gone. */
  async flushed(): Promise<void> {
    const { sink } = this;
    if (sink.destroyed || !sink.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        sink.off('drain', done).off('close', done);
        resolve();
      };
      sink.on('drain', done).on('close', done);
    });
  }

  /** Sets when {@link tick} is called next; to be called when that changed. */
  schedule(): void {
    this.wheel?.set(this, this.dueAt);
  }

  /** When something is due next, in epoch ms. */
  private get dueAt(): number {
    if (this.endedAt !== undefined) return this.endedAt + GOODBYE_MS;
    return Math.min(this.owner?.expiresAt ?? Number.POSITIVE_INFINITY, this.warnAt, this.keepAliveAt);
  }

  /** Does what is due at `now` (epoch ms). */
  tick(now: number): void {
    // A client that does not read never takes its goodbye, nor what waits before it.
    if (this.endedAt !== undefined) return this.destroy();
    if (this.owner && this.owner.expiresAt <= now) return this.end('token_expired');
    this.warnOfExpiry(now);
    if (now >= this.keepAliveAt) this.keepAlive(now);
    this.schedule();
  }

  /** Tells the client while there is time to come with a new token, which goes on without a gap. */
  private warnOfExpiry(now: number): void {
    if (!this.owner || now < this.warnAt) return;
    this.warnAt = Number.POSITIVE_INFINITY;
    this.sendWaiting();
    this.writeExpiring(this.owner.expiresAt);
  }

  /** How many bytes a batch is on this transport. */
  abstract sizeOf(batch: EventBatch): number;
  /** What is written to: the socket itself, or a response that has none yet. */
  protected abstract get sink(): Writable;
  /** When {@link keepAlive} is due next, in epoch ms. */
  protected abstract get keepAliveAt(): number;
  /** Sends heartbeats and pings, and watches deadlines. */
  protected abstract keepAlive(now: number): void;
  protected abstract writeEvents(batch: EventBatch): void;
  protected abstract writeExpiring(expiresAt: number): void;
  protected abstract writeEnd(reason: EndReason): void;
}

/** Says whether one of the filters lets a type through at a journal position, by how far each reaches back. */
export function hasFilterFor(filters: ReadonlyMap<string, number>, type: string, seq: number): boolean {
  for (const [filter, since] of filters) if (seq > since && matchesFilter(filter, type)) return true;
  return false;
}
