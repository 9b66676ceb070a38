import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Inbox } from './inbox.js';

/** A request as a receiver saw it. */
export interface ReceivedRequest {
  path: string;
  headers: IncomingHttpHeaders;
  /** The exact bytes. */
  body: string;
  at: number;
  /** How many requests this receiver had before. */
  before: number;
}

/** Answers a request; a number is a status without a body, undefined leaves the request hanging. */
export type Answerer = (request: ReceivedRequest, response: ServerResponse) => number | void;

/** A webhook receiver: a real HTTP server that answers the way a test says. */
export class Receiver {
  readonly inbox = new Inbox<ReceivedRequest>();
  answer: Answerer;
  /** The most requests that were open at once. */
  peak = 0;
  private open = 0;

  private constructor(
    private readonly server: Server,
    answer: Answerer,
  ) {
    this.answer = answer;
    server.on('request', (request, response) => void this.receive(request, response));
  }

  static async start(answer: Answerer = () => 204, port = 0): Promise<Receiver> {
    const server = createServer();
    const receiver = new Receiver(server, answer);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hook`;
  }

  get received(): ReceivedRequest[] {
    return this.inbox.all;
  }

  next(fits?: (request: ReceivedRequest) => boolean): Promise<ReceivedRequest> {
    return this.inbox.next(fits);
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close').catch(() => undefined);
  }

  private async receive(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    this.open += 1;
    this.peak = Math.max(this.peak, this.open);
    response.on('close', () => (this.open -= 1));
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { url: path = '', headers } = incoming;
    const request = {
      path,
      headers,
      body: Buffer.concat(chunks).toString(),
      at: Date.now(),
      before: this.received.length,
    };
    const status = this.answer(request, response);
    this.inbox.push(request);
    if (typeof status === 'number') response.writeHead(status).end();
  }
}
