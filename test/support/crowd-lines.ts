import { get, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket, type RawData } from 'ws';

/** What a client asks for: everything past a cursor that its filters let through. */
export interface Wish {
  /** The id of an event. */
  after: string;
  filters: readonly string[];
}

/** How a client leaves: with a goodbye, by ending the connection, or by resetting it. */
export type Farewell = 'close' | 'destroy' | 'reset';

/** Told what comes over a line, and nothing any more once the line is left or has ended. */
export interface LineListener {
  /** What was missed has been asked for. */
  asked(): void;
  /** What was missed has been sent, or at least begun. */
  arrived(): void;
  event(id: string): void;
  /** All filters were taken back, after the events that came before; returns what to ask for instead. */
  cut(): Wish;
  /** The server has ended the line, because the client was too slow. */
  tooSlow(): void;
  /** Something came that never should. */
  broken(why: string): void;
}

/** One connection of a client that only counts: many of them fit into a process. */
export interface Line {
  leave(how: Farewell): void;
  /** Stops reading, so that the server has to wait. */
  pause(): void;
  resume(): void;
  /** Resolves once whatever was sent before has arrived, as far as the transport can tell. */
  settle(): Promise<void>;
  /** Takes all filters back, and then asks for what {@link LineListener.cut} says; undefined where that cannot be. */
  swap?(): void;
}

/** Where a line leads, and as whom. */
export interface Address {
  /** Of the server. */
  url: string;
  token: string;
}

/** A connection over WebSocket. */
export class SocketLine implements Line {
  private readonly socket: WebSocket;
  private isOver = false;
  /** Whoever does not take the goodbye either is cut after a while. */
  private hasPaused = false;
  /** How many events have come since the subscription was confirmed. */
  private replayed = 0;
  private filters: readonly string[] = [];
  private onSettled: (() => void) | undefined;

  constructor(
    { url, token }: Address,
    wish: Wish,
    private readonly listener: LineListener,
  ) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
    this.socket.on('error', () => undefined);
    this.socket.on('open', () => {
      if (this.isOver) return;
      this.send({ type: 'auth', token });
      this.subscribe(wish);
      listener.asked();
    });
    this.socket.on('message', (data: RawData) => {
      if (!this.isOver) this.take(JSON.parse((data as Buffer).toString()) as Record<string, unknown>);
    });
    this.socket.on('close', (code, reason) => {
      if (this.isOver) return;
      this.end();
      if (code === 4429 || (code === 1006 && this.hasPaused)) listener.tooSlow();
      else listener.broken(`closed with ${code} ${reason.toString()}`);
    });
  }

  leave(how: Farewell): void {
    this.end();
    const { _socket: wire } = this.socket as unknown as { _socket: Socket | null | undefined };
    if (how === 'close') this.socket.close(1000);
    else if (how === 'reset' && wire) wire.resetAndDestroy();
    else this.socket.terminate();
  }

  pause(): void {
    this.hasPaused = true;
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  settle(): Promise<void> {
    return new Promise((resolve) => {
      this.onSettled = resolve;
      if (this.isOver) resolve();
      else this.send({ type: 'ping' });
    });
  }

  swap(): void {
    this.send({ type: 'unsubscribe', events: this.filters });
  }

  private take(message: Record<string, unknown>): void {
    const { type, event, events, count, complete } = message;
    if (type === 'event') {
      this.replayed += 1;
      this.listener.event((event as { id: string }).id);
    } else if (type === 'subscribed') {
      this.replayed = 0;
      if ((events as string[]).length === 0) this.subscribe(this.listener.cut());
    } else if (type === 'replayed') {
      if (complete !== true || count !== this.replayed) {
        this.listener.broken(`${JSON.stringify(message)} after ${this.replayed} events`);
      }
      this.listener.arrived();
    } else if (type === 'pong') {
      this.onSettled?.();
    } else if (type !== 'auth' || message['ok'] !== true) {
      this.listener.broken(JSON.stringify(message));
    }
  }

  private subscribe({ after, filters }: Wish): void {
    this.filters = filters;
    this.send({ type: 'subscribe', events: filters, lastEventId: after });
  }

  private send(message: object): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private end(): void {
    this.isOver = true;
    this.onSettled?.();
  }
}

/** A connection over SSE. */
export class StreamLine implements Line {
  private readonly request: ClientRequest;
  private response: IncomingMessage | undefined;
  private isPaused = false;
  private hasPaused = false;
  private isOver = false;
  private rest = '';

  constructor(
    { url, token }: Address,
    { after, filters }: Wish,
    private readonly listener: LineListener,
  ) {
    const headers = { Authorization: `Bearer ${token}`, 'Last-Event-ID': after };
    const path = `/api/v1/events/stream?events=${filters.join(',')}`;
    this.request = get(`${url}${path}`, { agent: false, headers });
    this.request.on('finish', () => this.isOver || listener.asked());
    this.request.on('response', (response) => this.isOver || this.read(response));
    this.request.on('error', (error) => this.fail(error.message));
  }

  leave(how: Farewell): void {
    this.isOver = true;
    if (how === 'reset') this.request.socket?.resetAndDestroy();
    this.request.destroy();
  }

  pause(): void {
    this.isPaused = this.hasPaused = true;
    this.response?.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.response?.resume();
  }

  async settle(): Promise<void> {
    // A stream cannot be asked.
  }

  private read(response: IncomingMessage): void {
    response.on('error', (error) => (this.hasPaused ? this.endAsSlow() : this.fail(error.message)));
    response.on('close', () => (this.hasPaused ? this.endAsSlow() : this.fail('the stream has ended')));
    if (response.statusCode !== 200) return this.fail(`answered ${response.statusCode}`);
    this.response = response;
    if (this.isPaused) response.pause();
    this.listener.arrived();
    response.setEncoding('utf8').on('data', (text: string) => {
      const blocks = (this.rest + text).split('\n\n');
      this.rest = blocks.pop() ?? '';
      for (const block of blocks) if (!this.isOver) this.take(block);
    });
  }

  private take(block: string): void {
    const id = /^id: (.*)$/m.exec(block)?.[1];
    // A copy: a part of the text would keep all of it in memory.
    if (id !== undefined) this.listener.event(Buffer.from(id).toString());
    else if (block.includes('"slow_consumer"')) this.endAsSlow();
    else if (block.startsWith('event:')) this.fail(block);
  }

  private endAsSlow(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.listener.tooSlow();
  }

  private fail(why: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.listener.broken(why);
  }
}
