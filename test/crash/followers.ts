import { SseClient } from '../support/sse-client.js';
import { WsClient } from '../support/ws-client.js';

/** A client that comes back after every crash with the last id it has seen, and remembers all it ever received. */
export interface Follower {
  readonly name: string;
  /** Every event id received, over all connections. */
  readonly ids: string[];
  connect(url: string, token: string): Promise<void>;
  /** Waits until the event with this id has come. */
  reach(id: string): Promise<void>;
  close(): void;
}

/** Follows over WebSocket from the event after `cursor`. */
export class WsFollower implements Follower {
  readonly name = 'WebSocket';
  private readonly past: string[] = [];
  private client: WsClient | undefined;

  constructor(private readonly cursor: string) {}

  get ids(): string[] {
    const received = this.client?.received ?? [];
    return [...this.past, ...received.flatMap(({ event }) => (event ? [(event as { id: string }).id] : []))];
  }

  async connect(url: string, token: string): Promise<void> {
    const lastEventId = this.ids.at(-1) ?? this.cursor;
    this.past.splice(0, Infinity, ...this.ids);
    this.client = await WsClient.open(`${url.replace('http', 'ws')}/ws`, {});
    this.client.send({ type: 'auth', token }, { type: 'subscribe', events: ['*'], lastEventId });
  }

  async reach(id: string): Promise<void> {
    if (!this.ids.includes(id)) {
      await this.client?.next(({ event }) => (event as { id: string } | undefined)?.id === id);
    }
  }

  close(): void {
    this.client?.close();
  }
}

/** Follows over SSE from the event after `cursor`. */
export class SseFollower implements Follower {
  readonly name = 'SSE';
  private readonly past: string[] = [];
  private client: SseClient | undefined;

  constructor(private readonly cursor: string) {}

  get ids(): string[] {
    return [...this.past, ...(this.client?.received ?? []).flatMap(({ id }) => id ?? [])];
  }

  async connect(url: string, token: string): Promise<void> {
    const headers = { 'Last-Event-ID': this.ids.at(-1) ?? this.cursor };
    this.past.splice(0, Infinity, ...this.ids);
    this.client = await SseClient.open(`${url}/api/v1/events/stream`, { token, headers });
  }

  async reach(id: string): Promise<void> {
    if (!this.ids.includes(id)) await this.client?.next((block) => block.id === id);
  }

  close(): void {
    this.client?.close();
  }
}
