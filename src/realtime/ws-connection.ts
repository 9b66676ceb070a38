import type { IncomingMessage } from 'node:http';
import { Logger } from '@nestjs/common';
import type { WebSocket } from 'ws';
import type { Config } from '../config/config.js';
import type { Writable } from 'node:stream';
import { CLOSE } from './close-codes.js';
import type { Place } from './connection-limits.service.js';
import type { EventBatch } from './frames.js';
import { RealtimeConnection, type EndReason } from './realtime-connection.js';
import type { ServerMessage } from './ws-messages.js';

const MINUTE_MS = 60_000;
const MAX_MISSED_PINGS = 2;

/** A WebSocket client. */
export class WsConnection extends RealtimeConnection {
  readonly transport = 'websocket';
  private readonly logger = new Logger(WsConnection.name);
  private authDeadline: number;
  private nextPing: number;
  private missedPings = 0;
  private minute = 0;
  private messagesThisMinute = 0;

  constructor(
    private readonly client: WebSocket,
    request: IncomingMessage,
    ip: string | null,
    /** Its place among the live connections. */
    readonly place: Place,
    private readonly config: Config,
    now: number,
  ) {
    super(request.socket, ip);
    this.authDeadline = now + config.WS_AUTH_TIMEOUT_MS;
    this.nextPing = now + config.WS_PING_INTERVAL_MS;
    client.on('pong', () => (this.missedPings = 0));
    for (const kind of ['message', 'ping'] as const) client.on(kind, () => this.countMessage(Date.now()));
  }

  /** Sends an answer of the protocol. */
  answer(message: ServerMessage): void {
    if (this.client.readyState === this.client.OPEN) this.client.send(JSON.stringify(message));
  }

  protected get keepAliveAt(): number {
    return this.principal ? this.nextPing : Math.min(this.nextPing, this.authDeadline);
  }

  protected keepAlive(now: number): void {
    if (!this.principal && now >= this.authDeadline) {
      this.authDeadline = Number.POSITIVE_INFINITY;
      this.client.close(CLOSE.unauthenticated, 'Authentication timed out');
    } else if (now >= this.nextPing) {
      this.nextPing = now + this.config.WS_PING_INTERVAL_MS;
      if (this.missedPings >= MAX_MISSED_PINGS) return this.client.close(CLOSE.pingTimeout, 'Pings were not answered');
      this.missedPings += 1;
      if (this.client.readyState === this.client.OPEN) this.client.ping();
    }
  }

  sizeOf(batch: EventBatch): number {
    return batch.webSocket.length;
  }

  protected get sink(): Writable {
    return this.socket;
  }

  protected writeEvents(batch: EventBatch): void {
    // Below `ws`, which would frame each message for each client. It holds nothing back: no extension was negotiated.
    if (this.client.readyState === this.client.OPEN) this.socket.write(batch.webSocket);
  }

  protected writeExpiring(expiresAt: number): void {
    this.answer({ type: 'auth', expiring: true, expiresAt });
  }

  protected writeEnd(reason: EndReason): void {
    switch (reason) {
      case 'token_expired':
        return this.client.close(CLOSE.unauthenticated, 'The access token has expired');
      case 'revoked':
        return this.client.close(CLOSE.revoked, 'The session has ended');
      case 'slow_consumer':
        return this.client.close(CLOSE.slowConsumer, `Too slow; resume with lastEventId ${this.lastEventId ?? ''}`);
      case 'shutdown':
        return this.client.close(CLOSE.goingAway, 'The server is going away');
    }
  }

  private countMessage(now: number): void {
    // It will be answered, whether its client reads or not.
    this.noteWaiting();
    const max = this.config.WS_MAX_MESSAGES_PER_MINUTE;
    const minute = Math.floor(now / MINUTE_MS);
    if (minute !== this.minute) this.messagesThisMinute = 0;
    this.minute = minute;
    this.messagesThisMinute += 1;
    if (max === 0 || this.messagesThisMinute <= max || this.client.readyState !== this.client.OPEN) return;
    this.logger.warn({ msg: 'closed for too many messages', ip: this.ip, actorId: this.principal?.userId });
    this.client.close(CLOSE.policy, 'Too many messages');
  }
}
