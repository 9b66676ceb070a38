import type { Connection, Listener, Opening } from './connection.js';
import { endingOfClose, endingOfMessage, type Ending } from './endings.js';
import type { HeraldEvent } from './events.js';
import { HeraldError, type Credentials, type ErrorDetail } from './http.js';

/** What the client needs of a WebSocket: the browser's own, or that of `ws`. */
export interface WebSocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(): void;
  /** `ws` has it: no waiting for a peer that may be gone. */
  terminate?(): void;
  // Anything narrower does not fit the two kinds at once.
  // oxlint-disable-next-line typescript/no-explicit-any
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: any) => void): void;
}

/** Makes them. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** What the service sends. */
interface Message {
  type: string;
  requestId?: string;
  ok?: boolean;
  expiring?: boolean;
  complete?: boolean;
  code?: string;
  message?: string;
  details?: ErrorDetail[];
  event?: HeraldEvent;
}

const OPEN = 1;
/** How long a pong may take, as a share of the heartbeat. */
const PONG_SHARE = 1 / 6;

/** The WebSocket; authenticates and subscribes in one go. */
export class WebSocketConnection implements Connection {
  readonly transport = 'websocket';
  readonly retryMs = 0;
  private readonly socket: WebSocketLike;
  private receivedAt = Date.now();
  private pingedAt = 0;
  private listener: Listener | undefined;

  constructor(
    WebSocket: WebSocketConstructor,
    private readonly opening: Opening,
    listener: Listener,
  ) {
    this.listener = listener;
    this.socket = new WebSocket(`${opening.http.base.replace(/^http/, 'ws').replace(/\/api\/v1$/, '')}/ws`);
    const { filters, lastEventId, credentials } = opening;
    this.socket.addEventListener('open', () => {
      this.send({ type: 'auth', requestId: 'auth', ...credentials });
      const cursor = lastEventId === undefined ? {} : { lastEventId };
      this.send({ type: 'subscribe', requestId: 'first', events: filters, ...cursor });
    });
    this.socket.addEventListener('message', ({ data }: { data: string }) => {
      this.receivedAt = Date.now();
      this.take(parse(data));
    });
    this.socket.addEventListener('close', ({ code, reason }: { code: number; reason: string }) =>
      this.end(endingOfClose(code, reason, opening.busyMs)),
    );
    // A close follows; without a listener, `ws` would throw.
    this.socket.addEventListener('error', () => undefined);
  }

  close(isDead = false): void {
    this.listener = undefined;
    if (isDead && this.socket.terminate) this.socket.terminate();
    else this.socket.close();
  }

  isAlive(now: number): boolean {
    const isAsked = this.pingedAt > this.receivedAt;
    if (!isAsked && now - this.receivedAt >= this.opening.heartbeatMs) this.ping(now);
    return !isAsked || now - this.pingedAt < this.opening.heartbeatMs * PONG_SHARE;
  }

  survives(now: number): boolean {
    if (this.pingedAt <= this.receivedAt) this.ping(now);
    return this.isAlive(now);
  }

  renew(credentials: Credentials): boolean {
    this.send({ type: 'auth', requestId: 'auth', ...credentials });
    return true;
  }

  change(type: 'subscribe' | 'unsubscribe', events: readonly string[]): boolean {
    this.send({ type, requestId: type, events });
    return true;
  }

  private ping(now: number): void {
    this.pingedAt = now;
    this.send({ type: 'ping' });
  }

  private send(message: object): void {
    if (this.socket.readyState === OPEN) this.socket.send(JSON.stringify(message));
  }

  private take(message: Message): void {
    const { type, requestId, event } = message;
    if (type === 'event' && event) this.listener?.onEvent(event);
    else if (type === 'auth') this.takeAuth(message);
    else if (type === 'subscribed' && requestId === 'first') this.listener?.onLive();
    else if (type === 'replayed' && message.complete === false) this.listener?.onGap();
    else if (type === 'error' && requestId !== undefined) this.end(endingOfMessage(message, this.opening.busyMs));
  }

  private takeAuth({ ok, expiring }: Message): void {
    if (expiring) this.listener?.onExpiring();
    else if (!ok)
      this.end({ next: 'renew', error: new HeraldError('UNAUTHORIZED', 'The service refused the token', 401) });
  }

  private end(ending: Ending): void {
    const { listener } = this;
    this.close();
    listener?.onEnd(ending);
  }
}

function parse(data: string): Message {
  try {
    return JSON.parse(data) as Message;
  } catch {
    const message = 'What answers at this address is no Herald';
    return { type: 'error', requestId: 'parse', code: 'VALIDATION', message };
  }
}
