import { randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Principal } from '../common/principal.js';
import { sseBlock, type EventBatch } from './frames.js';
import type { z } from 'zod';
import { RealtimeConnection, type EndReason } from './realtime-connection.js';
import type { StreamSignal, streamSignals } from './stream-messages.js';

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
  readonly transport = 'sse';
  protected keepAliveAt = Number.POSITIVE_INFINITY;

  constructor(
    socket: Socket,
    ip: string | null,
    private readonly response: ServerResponse,
    principal: Principal,
    private readonly heartbeatMs: number,
    private readonly complete: () => void,
  ) {
    super(socket, ip);
    this.principal = principal;
  }

  /** Sends the first bytes: a reconnection time of its own for each client, so that they do not all come back at once. */
  open(now: number): void {
    this.write(`retry: ${randomInt(1000, 5000)}\n\n`);
    this.keepAliveAt = now + this.heartbeatMs;
  }

  /** Tells the client that events older than the journal's retention are missing. */
  writeGap(lastEventId: string): void {
    this.signal('stream.gap', { lastEventId });
  }

  protected keepAlive(now: number): void {
    this.keepAliveAt = now + this.heartbeatMs;
    this.write(HEARTBEAT);
  }

  sizeOf(batch: EventBatch): number {
    return batch.sse.length;
  }

  /** Behind a pipelined request the response has no socket yet, and counts what waits by itself. */
  protected get sink(): Writable {
    return this.response.socket ?? this.response;
  }

  protected writeEvents(batch: EventBatch): void {
    const { response } = this;
    // Below the response, which would make four writes of each chunk, and others for each client; in order with its own
    // as long as it holds nothing back.
    const { socket } = response;
    const isPassedOn = response.writableLength === socket?.writableLength;
    if (!socket || !response.chunkedEncoding || response.writableEnded || !isPassedOn) this.write(batch.sse);
    else if (!socket.destroyed) socket.write(batch.sseChunk);
  }

  protected writeExpiring(expiresAt: number): void {
    this.signal('stream.expiring', { expiresAt });
  }

  protected writeEnd(reason: EndReason): void {
    this.signal('stream.end', { reason, reconnect: RECONNECT[reason] });
    this.complete();
  }

  private signal<S extends StreamSignal>(name: S, data: z.infer<(typeof streamSignals)[S]>): void {
    this.write(sseBlock(name, data));
  }

  private write(chunk: Buffer | string): void {
    // Nest ends the response when the client leaves, before this connection hears of it.
    if (!this.response.writableEnded) this.response.write(chunk);
  }
}
