import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import type { ConnectionView } from './connection-view.js';
import { Authenticator } from '../auth/authenticator.service.js';
import type { Principal } from '../common/principal.js';
import { TimerWheel } from '../common/timer-wheel.js';
import { Config } from '../config/config.js';
import { AppError } from '../common/app-error.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import type { DomainEvent } from '../events/domain-event.js';
import { EventBus } from '../events/event-bus.js';
import { EventJournal, type CursorPosition } from '../events/event-journal.service.js';
import { EventRelay } from '../events/event-relay.service.js';
import { Backlog } from './backlog.js';
import { FanOut } from './fan-out.js';
import { EventFrames } from './frames.js';
import type { RealtimeConnection } from './realtime-connection.js';
import { RealtimeMetrics } from './realtime-metrics.service.js';
import { Replays, type ReplayResult } from './replays.service.js';

const TICK_MS = 100;
/** Those of a wheel that turns in less than a minute: pings and heartbeats are due within one turn. */
const SLOTS = 512;
/** The pause before sessions are asked for again that could not be. */
const RETRY_MS = 1000;
/** Connections whose sessions are asked for at a time. */
const RECHECKS_AT_ONCE = 50;
/** The share of `SHUTDOWN_GRACE_MS` in which clients may take their goodbye. */
const GOODBYE_SHARE = 0.15;

interface ReplayOptions {
  /** The `seq` up to which the connection has had its live events. @default where it is */
  liveBefore?: number;
  /** Called between the last event of the replay and the first live one. */
  onCaughtUp?: (result: ReplayResult) => void;
}

/**
 * Brings every event to every connection that may and wants to see it, and ends the connections that must end.
 *
 * It is an ordinary subscriber of the bus; the features that publish know nothing of it.
 */
@Injectable()
export class RealtimeHub implements OnModuleInit, OnApplicationBootstrap {
  private readonly logger = new Logger(RealtimeHub.name);
  private readonly connections = new Set<RealtimeConnection>();
  /** Connections whose replay was ahead of the relay: live like the others once it has come as far. */
  private readonly arriving = new Set<RealtimeConnection>();
  private readonly backlog: Backlog;
  private readonly fanOut: FanOut;
  /** When something is due for a connection: pings, heartbeats, deadlines, the end of a token. */
  private readonly wheel = new TimerWheel<RealtimeConnection>(TICK_MS, SLOTS, Date.now());
  private ticker: NodeJS.Timeout | undefined;
  private closing = false;
  private onEmpty: (() => void) | undefined;

  constructor(
    private readonly bus: EventBus,
    private readonly journal: EventJournal,
    private readonly relay: EventRelay,
    private readonly replays: Replays,
    private readonly authenticator: Authenticator,
    private readonly trail: AuditTrail,
    private readonly metrics: RealtimeMetrics,
    private readonly config: Config,
  ) {
    this.fanOut = new FanOut({
      maxBufferedBytes: config.REALTIME_MAX_BUFFERED_BYTES,
      onSlow: (connection) => connection.end('slow_consumer'),
      onSent: (events) => this.measure(events),
    });
    this.backlog = new Backlog({
      maxBytes: config.REALTIME_MAX_BUFFERED_BYTES,
      totalBytes: config.REALTIME_TOTAL_BUFFERED_BYTES,
    });
    metrics.watch(this.connections);
  }

  onModuleInit(): void {
    this.bus.subscribeAll((event) => this.deliver(event));
    this.authenticator.onSessionsEnded((ended) => {
      if ('sessionId' in ended) {
        return this.afterDelivery(
          ({ sessionId }) => sessionId === ended.sessionId,
          (connection) => connection.end('revoked'),
        );
      }
      const { userId, exceptSessionId } = ended;
      this.afterDelivery(
        (principal) => principal.userId === userId && principal.sessionId !== exceptSessionId,
        // A key outlives the sessions of its owner, unless the owner is gone or banned.
        (connection) => (connection.principal?.scopes ? void this.recheck(connection) : connection.end('revoked')),
      );
    });
    this.authenticator.onSessionsMissed(() => void this.recheckAll());
  }

  /** Asks of every connection whether its session still goes on; again, until it was answered for all of them. */
  private async recheckAll(): Promise<void> {
    const waiting = [...this.connections];
    try {
      while (waiting.length > 0) {
        await Promise.all(waiting.splice(0, RECHECKS_AT_ONCE).map((one) => this.endIfOver(one)));
      }
    } catch (error) {
      this.logger.error({ msg: `sessions were not checked again; trying it in ${RETRY_MS} ms`, err: error });
      setTimeout(() => void this.recheckAll(), RETRY_MS).unref();
    }
  }

  private async endIfOver(connection: RealtimeConnection): Promise<void> {
    const { principal } = connection;
    if (principal && !(await this.authenticator.refresh(principal))) this.endAfterDelivery(principal);
  }

  private endAfterDelivery(principal: Principal): void {
    this.afterDelivery(
      (current) => current === principal,
      (connection) => connection.end('revoked'),
    );
  }

  onApplicationBootstrap(): void {
    this.ticker = setInterval(() => this.tick(Date.now()), TICK_MS);
    this.ticker.unref();
  }

  /** True once the service is going down. */
  get isClosing(): boolean {
    return this.closing;
  }

  /** Lists the connections, the oldest first. */
  list(): ConnectionView[] {
    return [...this.connections].map((connection) => {
      const { id, transport, ip, principal, connectedAt, filters, bufferedBytes, lastEventId } = connection;
      const { userId = null, email = null, sessionId = null } = principal ?? {};
      const about = { id, transport, ip, userId, email, sessionId, connectedAt };
      return { ...about, events: [...filters.keys()], bufferedBytes, lastEventId: lastEventId ?? null };
    });
  }

  /** Closes a connection by an admin's hand. @throws AppError NOT_FOUND */
  async close(id: string): Promise<void> {
    const connection = [...this.connections].find((one) => one.id === id);
    if (!connection) throw new AppError('NOT_FOUND', 'There is no such connection');
    const { ip, principal } = connection;
    await this.trail.record('connection.closed', { subject: principal?.userId ?? id, details: { id, ip } });
    connection.end('revoked');
  }

  /** Takes a connection in, or tells it at once that the service is going down. */
  add(connection: RealtimeConnection): void {
    this.connections.add(connection);
    connection.wheel = this.wheel;
    connection.backlog = this.backlog;
    connection.schedule();
    if (this.closing) connection.end('shutdown');
  }

  /** Lets go of a connection that is closed. @param code - the close code, or the reason of a stream's end. */
  remove(connection: RealtimeConnection, code: string | number): void {
    if (!this.connections.delete(connection)) return;
    this.arriving.delete(connection);
    this.fanOut.leave(connection);
    this.wheel.delete(connection);
    this.backlog.delete(connection);
    connection.wheel = connection.backlog = undefined;
    this.metrics.closed(connection, code);
    if (this.connections.size === 0) this.onEmpty?.();
  }

  /**
   * Asks once more after a connection got its principal: its session may have ended in between, or its account changed,
   * and the event that told of it has passed already. Nothing is sent by what the principal was before.
   */
  async recheck(connection: RealtimeConnection): Promise<void> {
    const { principal } = connection;
    if (!principal) return;
    try {
      const current = await this.authenticator.refresh(principal);
      if (connection.principal !== principal) return;
      if (!current) return this.endAfterDelivery(principal);
      Object.assign(principal, { email: current.email, role: current.role });
      this.goLive(connection);
    } catch (error) {
      this.logger.error({ msg: 'a session was not checked again', err: error });
      connection.destroy();
    }
  }

  /** Subscribes a connection from now on; filters it has keep their place. */
  subscribe(connection: RealtimeConnection, filters: readonly string[]): void {
    const now = this.positionOf(connection);
    for (const filter of filters) if (!connection.filters.has(filter)) connection.filters.set(filter, now);
    this.goLive(connection);
  }

  /** Takes filters from a connection, after the events that came before. */
  unsubscribe(connection: RealtimeConnection, filters: readonly string[]): void {
    connection.sendWaiting();
    for (const filter of filters) connection.filters.delete(filter);
    this.goLive(connection);
  }

  /** Up to where a connection has what it is subscribed to; a replay may have been ahead of the relay. */
  private positionOf({ liveFrom }: RealtimeConnection): number {
    return Math.max(liveFrom, this.relay.position);
  }

  /** Gives a connection its place among the others, now or once the relay has come to where it is. */
  private goLive(connection: RealtimeConnection): void {
    this.arriving.delete(connection);
    this.fanOut.leave(connection);
    if (connection.replaying || !this.connections.has(connection)) return;
    if (connection.liveFrom <= this.relay.position) this.fanOut.join(connection);
    else this.arriving.add(connection);
  }

  /**
   * Subscribes a connection and first sends it what it missed since a cursor, without gap or repeat.
   *
   * @param position - where the cursor stands, from {@link EventJournal.locate}.
   */
  async replay(
    connection: RealtimeConnection,
    filters: readonly string[],
    position: CursorPosition,
    { liveBefore = this.positionOf(connection), onCaughtUp }: ReplayOptions = {},
  ): Promise<void> {
    const before = new Map(connection.filters);
    connection.replaying = true;
    // What it has been delivered goes first.
    this.subscribe(connection, filters);
    await this.replays.run(connection, { filters, position, before, liveBefore }, (result) => {
      onCaughtUp?.(result);
      connection.replaying = false;
      this.goLive(connection);
    });
  }

  /** Tells every connection that the service is going away, after what was committed; later ones are told at once. */
  async sayGoodbye(): Promise<void> {
    this.closing = true;
    clearInterval(this.ticker);
    await this.relay.caughtUp();
    this.fanOut.flush();
    if (this.connections.size === 0) return;
    const empty = new Promise<void>((resolve) => (this.onEmpty = resolve));
    for (const connection of this.connections) connection.end('shutdown');
    let timer: NodeJS.Timeout | undefined;
    const limitMs = this.config.SHUTDOWN_GRACE_MS * GOODBYE_SHARE;
    await Promise.race([empty, new Promise((resolve) => (timer = setTimeout(resolve, limitMs)))]);
    clearTimeout(timer);
    for (const connection of this.connections) connection.destroy();
  }

  private deliver(event: DomainEvent): void {
    for (const connection of this.arriving) {
      if (connection.liveFrom >= event.seq) continue;
      this.arriving.delete(connection);
      this.fanOut.join(connection);
    }
    this.fanOut.publish(EventFrames.of(event));
    if (event.type === 'user.updated') this.rescope(event.payload.userId, event.seq);
  }

  /**
   * After a change of address or role: what the account's connections may see is decided anew, from the very next event.
   *
   * Who the account is now is not known in this moment, so the connection goes on by reading the journal, which asks. Of
   * several changes at once the last one decides.
   */
  private rescope(userId: string, seq: number): void {
    for (const connection of this.connections) {
      // A replay asks before each page, and so sees the change by itself.
      if (connection.principal?.userId !== userId || connection.replaying) continue;
      // The event itself was sent just now, if the connection did not have it already.
      const liveBefore = Math.max(seq, connection.liveFrom);
      connection.settled = this.replay(connection, [], { afterSeq: liveBefore, complete: true }, { liveBefore });
    }
  }

  /**
   * Does something with the connections concerned, but only after the event that tells why has reached them.
   *
   * Who is behind, in the middle of a replay, does not keep access until the event is its turn: its client gets the rest
   * once it may come back.
   */
  private afterDelivery(
    concerned: (principal: Principal) => boolean,
    act: (connection: RealtimeConnection) => void,
  ): void {
    this.relay
      .caughtUp()
      // Who may not stay goes also when the event cannot be read now: its client gets it once it may come back.
      .catch((error: unknown) =>
        this.logger.error({ msg: 'connections are closed before their last event', err: error }),
      )
      .finally(() => {
        for (const connection of this.connections) {
          if (connection.principal && concerned(connection.principal)) act(connection);
        }
      })
      .catch((error: unknown) => this.logger.error({ msg: 'connections were not closed', err: error }));
  }

  private tick(now: number): void {
    for (const connection of this.wheel.take(now)) connection.tick(now);
    this.backlog.keepWithinLimits();
  }

  private measure(events: ReadonlySet<EventFrames>): void {
    const now = performance.now();
    for (const { event } of events) {
      const committedAt = this.journal.committedAt(event);
      if (committedAt !== undefined) this.metrics.flushed(now - committedAt);
    }
  }
}
