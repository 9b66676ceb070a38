import { once } from 'node:events';
import { WebSocket, type RawData } from 'ws';
import { Inbox } from './inbox.js';
import { recordSecrets, recordSecretsIn } from './recorder.js';

export interface WsMessage {
  type: string;
  [field: string]: unknown;
}

/** A WebSocket client that remembers everything it received. */
export class WsClient {
  private readonly inbox = new Inbox<WsMessage>();
  readonly closed: Promise<{ code: number; reason: string }>;

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data: RawData) => this.inbox.push(JSON.parse((data as Buffer).toString()) as WsMessage));
    this.closed = new Promise((resolve) =>
      socket.on('close', (code, reason) => {
        this.inbox.finish(`the connection was closed with ${code} ${reason.toString()}`);
        resolve({ code, reason: reason.toString() });
      }),
    );
  }

  static async open(url: string, headers: Record<string, string>): Promise<WsClient> {
    recordSecretsIn(url);
    const socket = new WebSocket(url, { headers });
    const client = new WsClient(socket);
    await once(socket, 'open');
    return client;
  }

  get received(): WsMessage[] {
    return this.inbox.all;
  }

  /** Types of the events received so far. */
  get events(): string[] {
    return this.received.filter(({ type }) => type === 'event').map(({ event }) => (event as { type: string }).type);
  }

  send(...messages: unknown[]): void {
    for (const message of messages) {
      recordSecrets(message);
      this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    }
  }

  next(fits?: (message: WsMessage) => boolean): Promise<WsMessage> {
    return this.inbox.next(fits);
  }

  /** Waits for the next event of a type, and returns its whole frame. */
  nextEvent(type: string): Promise<WsMessage> {
    return this.next((message) => message.type === 'event' && (message['event'] as { type: string }).type === type);
  }

  /** Sends a ping and waits for the pong: whatever was sent before it has arrived then. */
  async settle(): Promise<void> {
    this.send({ type: 'ping', requestId: 'settle' });
    await this.next(({ type, requestId }) => type === 'pong' && requestId === 'settle');
  }

  close(): void {
    this.socket.terminate();
  }
}
