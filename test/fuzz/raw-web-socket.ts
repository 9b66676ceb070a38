import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { OPCODE } from './frames.js';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** A decent handshake. */
export function handshake(path = '/ws', headers = ''): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${headers}\r\n`
  );
}

/** What a client hears. */
export interface Listener {
  /** The handshake succeeded. */
  onOpen(): void;
  onText(text: string): void;
  onPong(payload: Buffer): void;
  onClose(code: number): void;
  /** The server broke the protocol. */
  onBreach(what: string): void;
  /** The connection is gone; with what came instead of a handshake, if that is how it was. */
  onEnd(answer: string | undefined): void;
}

/** A WebSocket client that writes the bytes it is given, and reads frames as strictly as RFC 6455 is. */
export class RawWebSocket {
  private readonly socket: Socket;
  private rest: Buffer = Buffer.alloc(0);
  private isOpen = false;
  private isClosing = false;
  private hasBroken = false;

  constructor(
    port: number,
    private readonly listener: Listener,
    /** Answers a ping. */
    private readonly pongTo: (payload: Buffer) => Buffer,
  ) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    // Told by the end that follows.
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk) => this.read(chunk));
    this.socket.once('close', () => listener.onEnd(this.isOpen ? undefined : this.rest.toString('latin1')));
  }

  /** Writes bytes, and resolves once the system has them or nobody wants them any more. */
  async write(bytes: Buffer | string): Promise<void> {
    if (this.socket.destroyed || this.socket.writableEnded) return;
    await new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /** Says that nothing more comes. */
  finish(): void {
    this.socket.end();
  }

  /** Cuts the connection. */
  cut(withReset: boolean): void {
    if (withReset) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  private read(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    if (!this.isOpen && !this.readHandshake()) return;
    let at = 0;
    for (;;) {
      const next = this.readFrame(at);
      if (next === undefined) break;
      at = next;
    }
    this.rest = this.rest.subarray(at);
  }

  private readHandshake(): boolean {
    const end = this.rest.indexOf('\r\n\r\n');
    const head = this.rest.subarray(0, end).toString('latin1');
    if (end < 0 || !head.startsWith('HTTP/1.1 101 ')) return false;
    if (!head.includes(`Sec-WebSocket-Accept: ${ACCEPT}`)) this.breach(`no fitting accept: ${head}`);
    this.rest = this.rest.subarray(end + 4);
    this.isOpen = true;
    this.listener.onOpen();
    return true;
  }

  /** Reads the frame at a place; returns where the next one is, or undefined when this one is not there yet. */
  private readFrame(at: number): number | undefined {
    const { rest } = this;
    const [first, second] = [rest[at], rest[at + 1]];
    if (this.hasBroken || first === undefined || second === undefined) return undefined;
    let length = second & 0x7f;
    let start = at + 2;
    if (length === 126) {
      if (rest.length < start + 2) return undefined;
      length = rest.readUInt16BE(start);
      start += 2;
      if (length < 126) this.breach('a length longer than it need be');
    } else if (length === 127) {
      if (rest.length < start + 8) return undefined;
      length = Number(rest.readBigUInt64BE(start));
      start += 8;
      if (length < 65_536) this.breach('a length longer than it need be');
    }
    if (rest.length < start + length) return undefined;
    const opcode = first & 0x0f;
    if ((first & 0xf0) !== 0x80) this.breach(`a first byte of ${first}`);
    else if (second > 127) this.breach('a masked frame');
    else if (opcode >= OPCODE.close && length > 125) this.breach('a control frame that is too long');
    else if (this.isClosing) this.breach('a frame after the close');
    else this.take(opcode, rest.subarray(start, start + length));
    return start + length;
  }

  private take(opcode: number, payload: Buffer): void {
    switch (opcode) {
      case OPCODE.text:
        return this.listener.onText(payload.toString('utf8'));
      case OPCODE.ping:
        void this.write(this.pongTo(payload));
        return;
      case OPCODE.pong:
        return this.listener.onPong(payload);
      case OPCODE.close:
        this.isClosing = true;
        return this.listener.onClose(payload.length === 0 ? 1005 : payload.readUInt16BE(0));
      default:
        this.breach(`an opcode of ${opcode}`);
    }
  }

  private breach(what: string): void {
    this.hasBroken = true;
    this.listener.onBreach(what);
  }
}
