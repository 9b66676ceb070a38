import { randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Principal } from '../common/principal.js';
import { sseBlock, type EventFrames } from './frames.js';
import { RealtimeConnection, type EndReason } from './realtime-connection.js';

const HEARTBEAT = ':heartbeat\n\n';

/** After which ends the browser's own reconnect makes sense; after the others it needs a new token or a new login. */
const RECONNECT: Record<EndReason, boolean> = {
  token_expired: false,
  revoked: false,
  slow_consumer: true,
  shutdown: true,
};

/** A client of the event stream. */
export class SseConnection extends RealtimeConnection {
  private nextHeartbeat = Number.POSITIVE_INFINITY;

  constructor(
    private readonly response: ServerResponse,
    override readonly principal: Principal,
    private readonly heartbeatMs: number,
    private readonly complete: () => void,
  ) {
    if (!response.socket) throw new Error('The response has no socket any more');
    super(response.socket);
  }

  /** Sends the first bytes: a reconnection time of its own for each client, so that they do not all come back at once. */
  open(now: number): void {
    this.response.write(`retry: ${randomInt(1000, 5000)}\n\n`);
    this.nextHeartbeat = now + this.heartbeatMs;
  }

  /** Tells the client that events older than the journal's retention are missing. */
  writeGap(lastEventId: string): void {
    this.response.write(sseBlock('stream.gap', { lastEventId }));
  }

  tick(now: number): void {
    if (now < this.nextHeartbeat) return;
    this.nextHeartbeat = now + this.heartbeatMs;
    this.response.write(HEARTBEAT);
  }

  protected writeEvent(frames: EventFrames): void {
    this.response.write(frames.sse);
  }

  protected writeEnd(reason: EndReason): void {
    this.response.write(sseBlock('stream.end', { reason, reconnect: RECONNECT[reason] }));
    this.complete();
  }
}
