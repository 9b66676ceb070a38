import { SseClient } from '../support/sse-client.js';
import { WsClient } from '../support/ws-client.js';

/** One connection, and what it was told. */
interface Connection {
  ids: () => readonly string[];
  /** Settles when it is over, with whether the service has said that it must not come back. */
  over: Promise<boolean>;
  close: () => void;
}

/** A client that comes back whenever its connection ends, each time to whichever instance, with the last id it has seen. */
export class ResumingClient {
  private readonly past: string[] = [];
  private connection: Connection | undefined;
  private isClosed = false;
  connections = 0;
  /** Settles when the service has told it that its session is over; with when, by `performance.now()`. */
  readonly revoked: Promise<number>;
  private readonly running: Promise<void>;
  private tellRevoked: (at: number) => void = () => undefined;
  private tellLive: () => void = () => undefined;
  /** Resolves once it is subscribed for the first time. */
  readonly live = new Promise<void>((resolve) => (this.tellLive = resolve));

  constructor(
    readonly transport: 'websocket' | 'sse',
    private readonly url: string,
    private readonly token: string,
    private readonly cursor: string,
    private readonly onEvent: () => void = () => undefined,
  ) {
    this.revoked = new Promise((resolve) => (this.tellRevoked = resolve));
    this.running = this.run();
  }

  /** Every id that it was told, over all its connections. */
  get ids(): string[] {
    return [...this.past, ...(this.connection?.ids() ?? [])];
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.connection?.close();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.isClosed) {
      try {
        this.connection = await this.connect(this.ids.at(-1) ?? this.cursor);
        this.connections += 1;
        if (await this.connection.over) {
          this.tellRevoked(performance.now());
          this.isClosed = true;
        }
      } catch {
        // Nobody was there. The next instance may be.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      this.past.push(...(this.connection?.ids() ?? []));
      this.connection = undefined;
    }
  }

  private connect(lastEventId: string): Promise<Connection> {
    return this.transport === 'websocket' ? this.connectWebSocket(lastEventId) : this.connectStream(lastEventId);
  }

  private async connectWebSocket(lastEventId: string): Promise<Connection> {
    const client = await WsClient.open(`${this.url.replace('http', 'ws')}/ws`, {});
    client.socket.on('message', () => this.onEvent());
    client.send({ type: 'auth', token: this.token }, { type: 'subscribe', events: ['*'], lastEventId });
    const over = client.closed.then(({ code }) => code === 4403 || client.received.some(({ ok }) => ok === false));
    void client.next(({ type }) => type === 'subscribed').then(this.tellLive, () => undefined);
    return {
      over,
      ids: () => client.received.flatMap(({ type, event }) => (type === 'event' ? [(event as { id: string }).id] : [])),
      close: () => client.close(),
    };
  }

  private async connectStream(lastEventId: string): Promise<Connection> {
    const headers = { 'Last-Event-ID': lastEventId };
    const client = await SseClient.open(`${this.url}/api/v1/events/stream`, { token: this.token, headers });
    const { status } = client.response;
    if (status === 401) return { over: Promise.resolve(true), ids: () => [], close: () => undefined };
    if (status !== 200) throw new Error(`the stream answered ${status}`);
    this.tellLive();
    const over = client.ended.then(() => client.received.at(-1)?.data?.includes('"revoked"') === true);
    return { over, ids: () => client.received.flatMap(({ id }) => id ?? []), close: () => client.close() };
  }
}
