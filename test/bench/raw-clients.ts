import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const EVENT_ID = /"id":"(evt-[^"]+)"/g;

/** Subscribers as raw sockets: they count bytes, and one of them, the witness, looks at its events. */
export class RawClients {
  private readonly sockets: Socket[] = [];
  /** Bytes of all of them. */
  bytes = 0;
  /** Bytes of the witness, which got what everybody got. */
  witnessBytes = 0;
  witnessEvents = 0;
  /** How many of them are closed. */
  closed = 0;
  /** From an event's timestamp to its receipt by the witness, in ms. */
  latencies: number[] = [];
  /** Ids that the witness saw. */
  private ids: string[] = [];

  /** @param open - opens one subscriber and resolves once it is subscribed. */
  static async open(count: number, open: () => Promise<Socket>): Promise<RawClients> {
    const clients = new RawClients();
    for (let at = 0; at < count; at += 50) {
      const some = await Promise.all(Array.from({ length: Math.min(50, count - at) }, open));
      for (const socket of some) clients.add(socket);
    }
    return clients;
  }

  private add(socket: Socket): void {
    const isWitness = this.sockets.length === 0;
    this.sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => (this.closed += 1));
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (!isWitness) return;
      this.witnessBytes += chunk.length;
      const text = chunk.toString('latin1');
      for (const [, timestamp = ''] of text.matchAll(/"timestamp":"([^"]+)"/g)) {
        this.witnessEvents += 1;
        this.latencies.push(Date.now() - Date.parse(timestamp));
      }
      for (const [, id = ''] of text.matchAll(EVENT_ID)) this.ids.push(id);
    });
  }

  /** How many events arrived at all of them together: everybody gets the same bytes as the witness. */
  get deliveries(): number {
    return this.witnessBytes === 0 ? 0 : (this.bytes / this.witnessBytes) * this.witnessEvents;
  }

  /** The id of the event after which the witness saw `count` more. */
  idOfEventBefore(count: number): string {
    return this.ids.at(-1 - count) ?? '';
  }

  /** Forgets what the witness saw, but the last events. */
  forget(keep: number): void {
    this.ids = this.ids.slice(-2 * keep);
    this.latencies = [];
  }

  reset(): void {
    this.bytes = this.witnessBytes = this.witnessEvents = 0;
    this.latencies = [];
    this.ids = [];
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

/** What a connection is opened with. */
export type Credentials = { token: string } | { apiKey: string };

/** Opens a WebSocket and does no more. */
export async function openBareWebSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  const key = randomBytes(16).toString('base64');
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  await until(socket, '\r\n\r\n');
  return socket;
}

/** Opens a WebSocket, authenticates and subscribes it to everything. */
export async function openWebSocket(port: number, credentials: Credentials): Promise<Socket> {
  const socket = await openBareWebSocket(port);
  socket.write(Buffer.concat([masked({ type: 'auth', ...credentials }), masked({ type: 'subscribe', events: ['*'] })]));
  await until(socket, '"subscribed"');
  return socket;
}

/** Opens a WebSocket that resumes after an event, and resolves once it has everything it missed. */
export async function resumeWebSocket(port: number, token: string, lastEventId: string): Promise<Socket> {
  const socket = await openBareWebSocket(port);
  const subscribe = { type: 'subscribe', events: ['*'], lastEventId };
  socket.write(Buffer.concat([masked({ type: 'auth', token }), masked(subscribe)]));
  await until(socket, '"replayed"');
  // What comes live is read, and not looked at.
  socket.resume();
  return socket;
}

/** The request that publishes an event: it creates an API key. */
export function createKey(token: string): string {
  const body = JSON.stringify({ name: 'A program', scopes: ['events:read'] });
  return `POST /api/v1/api-keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** How a WebSocket ended for a client that read it to the end. */
export interface End {
  code: number;
  reason: string;
  /** The last event that came before. */
  lastEventId: string | undefined;
}

/** Reads to its end what waits on a WebSocket that was paused. */
export async function readToEnd(socket: Socket): Promise<End> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.resume();
  await once(socket, 'close');
  const all = Buffer.concat(chunks);
  let lastEventId: string | undefined;
  // What the service cut off in the middle of a frame ends without one.
  for (let at = 0; at + 10 <= all.length;) {
    const opcode = all.readUInt8(at) & 0x0f;
    const short = all.readUInt8(at + 1);
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length = short < 126 ? short : short === 126 ? all.readUInt16BE(at + 2) : Number(all.readBigUInt64BE(at + 2));
    const payload = all.subarray(at + head, at + head + length);
    if (opcode === 8) return { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2), lastEventId };
    lastEventId = /"id":"(evt-[^"]+)"/.exec(payload.toString('utf8'))?.[1] ?? lastEventId;
    at += head + length;
  }
  return { code: 1006, reason: '', lastEventId };
}

/** Opens an event stream. */
export async function openStream(port: number, path: string, credentials: Credentials): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  const header =
    'token' in credentials ? `Authorization: Bearer ${credentials.token}` : `X-API-Key: ${credentials.apiKey}`;
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
  await until(socket, '\r\n\r\n');
  return socket;
}

async function until(socket: Socket, mark: string): Promise<void> {
  let text = '';
  while (!text.includes(mark)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    // The mark may be cut in two.
    text = text.slice(-mark.length) + chunk.toString('latin1');
    if (text.includes('"type":"error"')) throw new Error(text);
  }
}

/** A client's text frame; the mask is all zeros, which changes nothing (RFC 6455 §5.3). */
function masked(message: object): Buffer {
  const payload = Buffer.from(JSON.stringify(message));
  const head =
    payload.length < 126
      ? Buffer.from([0x81, 0x80 | payload.length])
      : Buffer.from([0x81, 0xfe, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}
