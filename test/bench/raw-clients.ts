import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Subscribers as raw sockets: they count bytes, and one of them, the witness, looks at its events. */
export class RawClients {
  private readonly sockets: Socket[] = [];
  /** Bytes of all of them. */
  bytes = 0;
  /** Bytes of the witness, which got what everybody got. */
  witnessBytes = 0;
  witnessEvents = 0;
  /** From an event's timestamp to its receipt by the witness, in ms. */
  latencies: number[] = [];

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
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (!isWitness) return;
      this.witnessBytes += chunk.length;
      for (const [, timestamp = ''] of chunk.toString('latin1').matchAll(/"timestamp":"([^"]+)"/g)) {
        this.witnessEvents += 1;
        this.latencies.push(Date.now() - Date.parse(timestamp));
      }
    });
  }

  /** How many events arrived at all of them together: everybody gets the same bytes as the witness. */
  get deliveries(): number {
    return this.witnessBytes === 0 ? 0 : (this.bytes / this.witnessBytes) * this.witnessEvents;
  }

  reset(): void {
    this.bytes = this.witnessBytes = this.witnessEvents = 0;
    this.latencies = [];
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

/** Opens a WebSocket, authenticates and subscribes it to everything. */
export async function openWebSocket(port: number, token: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  const key = randomBytes(16).toString('base64');
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  await until(socket, '\r\n\r\n');
  socket.write(Buffer.concat([masked({ type: 'auth', token }), masked({ type: 'subscribe', events: ['*'] })]));
  await until(socket, '"subscribed"');
  return socket;
}

/** Opens an event stream. */
export async function openStream(port: number, path: string, token: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  await once(socket, 'connect');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await until(socket, '\r\n\r\n');
  return socket;
}

async function until(socket: Socket, mark: string): Promise<void> {
  let text = '';
  while (!text.includes(mark)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
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
