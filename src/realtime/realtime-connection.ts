import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Principal } from '../common/principal.js';
import type { DomainEvent } from '../events/domain-event.js';
import { matchesFilter } from '../events/event-filter.js';
import { canSee } from '../events/visibility.js';
import type { EventFrames } from './frames.js';

/** Why the service ends a connection. */
export type EndReason = 'token_expired' | 'revoked' | 'slow_consumer' | 'shutdown';

/**
 * One live client, whatever its transport: who it is, what it wants, and how far it has come.
 *
 * The transports differ only in how a frame is written and how a connection ends.
 */
export abstract class RealtimeConnection {
  readonly id = randomUUID();
  /** Each filter with the journal position after which it is delivered live. */
  readonly filters = new Map<string, number>();
  /** Undefined until the client has authenticated. */
  principal: Principal | undefined;
  /** While true, nothing is sent live: the replay goes on until it has caught up with the relay. */
  replaying = false;
  /** The id of the last event sent, which is the one a client resumes from. */
  lastEventId: string | undefined;
  private ended = false;

  constructor(protected readonly socket: Socket) {}

  /** Says whether an event is to be sent live, by the filters and the principal of this moment. */
  wants({ type, subject, seq }: DomainEvent): boolean {
    if (this.replaying || this.ended || !this.principal || !canSee(this.principal, subject)) return false;
    return hasFilterFor(this.filters, type, seq);
  }

  /** Sends an event. */
  send(frames: EventFrames): void {
    if (this.ended) return;
    this.writeEvent(frames);
    this.lastEventId = frames.event.id;
  }

  /** Tells the client why, and closes; nothing is sent after it. */
  end(reason: EndReason): void {
    if (this.ended) return;
    this.ended = true;
    this.writeEnd(reason);
  }

  /** Bytes that were sent and that the socket has not taken yet. */
  get bufferedBytes(): number {
    return this.socket.writableLength;
  }

  /** Resolves once the socket takes more, or is gone. */
  async flushed(): Promise<void> {
    const { socket } = this;
    if (socket.destroyed || !socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  /** Does what is due at `now` (epoch ms): heartbeats, pings, deadlines. */
  abstract tick(now: number): void;
  protected abstract writeEvent(frames: EventFrames): void;
  protected abstract writeEnd(reason: EndReason): void;
}

/** Says whether one of the filters lets a type through at a journal position. */
export function hasFilterFor(filters: ReadonlyMap<string, number>, type: string, seq: number): boolean {
  for (const [filter, since] of filters) if (seq > since && matchesFilter(filter, type)) return true;
  return false;
}
