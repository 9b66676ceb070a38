import type { WebSocketLike } from '../../src/client/herald-client.js';

interface Sent {
  type: string;
  [field: string]: unknown;
}

/** A WebSocket whose other end is a test. */
export class FakeSocket implements WebSocketLike {
  /** All that were made, the newest last. */
  static readonly all: FakeSocket[] = [];
  readyState = 0;
  private readonly listeners = new Map<string, (event: never) => void>();
  readonly sent: Sent[] = [];
  /** How the client let go of it. */
  ended: 'closed' | 'terminated' | undefined;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  static get last(): FakeSocket {
    const last = FakeSocket.all.at(-1);
    if (!last) throw new Error('no socket was opened');
    return last;
  }

  /** What the client has sent, by type. */
  ofType(type: string): Sent[] {
    return this.sent.filter((message) => message.type === type);
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.listeners.set(type, listener);
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Sent);
  }

  close(): void {
    this.ended = 'closed';
  }

  terminate(): void {
    this.ended = 'terminated';
  }

  /** Lets the client in, and answers what it asks for. */
  accept(): this {
    this.readyState = 1;
    this.tell('open', {});
    this.say({ type: 'auth', ok: true });
    this.say({ type: 'subscribed', events: ['*'], requestId: 'first' });
    return this;
  }

  say(message: object | string): void {
    const data = typeof message === 'string' ? message : JSON.stringify(message);
    this.tell('message', { data });
  }

  /** Sends the event of a number. */
  event(n: number): void {
    const payload = { email: `${n}@example.com` };
    this.say({ type: 'event', event: { id: `evt-${n}`, type: 'login.failed', timestamp: '', payload } });
  }

  /** Ends it from the other side. */
  hangUp(code: number, reason = ''): void {
    this.readyState = 3;
    this.tell('close', { code, reason });
  }

  private tell(type: string, event: object): void {
    this.listeners.get(type)?.(event as never);
  }
}
