import type { DomainEvent, EventEnvelope } from '../events/domain-event.js';

/** FIN and the opcode of a text message (RFC 6455 §5.2). */
const TEXT_FRAME = 0x81;
const LENGTH_16_BIT = 126;
const LENGTH_64_BIT = 127;

const encoded = new WeakMap<DomainEvent, EventFrames>();

/** One event on its way to many connections, encoded once per wire format, at the first connection that needs it. */
export class EventFrames {
  private webSocketFrame: Buffer | undefined;
  private sseBlock: Buffer | undefined;

  private constructor(readonly event: DomainEvent) {}

  /** The frames of an event, live or replayed: kept for as long as the event is. */
  static of(event: DomainEvent): EventFrames {
    let frames = encoded.get(event);
    if (!frames) encoded.set(event, (frames = new EventFrames(event)));
    return frames;
  }

  /** The WebSocket frame of the message `{"type":"event","event":{…}}`. */
  get webSocket(): Buffer {
    const { id, type, timestamp, payload } = this.event;
    const event: EventEnvelope = { id, type, timestamp, payload };
    return (this.webSocketFrame ??= textFrame(JSON.stringify({ type: 'event', event })));
  }

  /** The SSE block: `event`, `id`, `data`, in the specification's order. */
  get sse(): Buffer {
    const { id, type, timestamp, payload } = this.event;
    return (this.sseBlock ??= sseBlock(type, { type, timestamp, payload }, id));
  }
}

/** Events that travel together, in one write per connection; put together once per wire format. */
export class EventBatch {
  private webSocketBytes: Buffer | undefined;
  private sseBytes: Buffer | undefined;
  private sseChunkBytes: Buffer | undefined;

  /** @param frames - at least one, in the order of the journal. */
  constructor(readonly frames: readonly EventFrames[]) {}

  /** The id that a client resumes from once it has had them. */
  get lastEventId(): string | undefined {
    return this.frames.at(-1)?.event.id;
  }

  /** WebSocket frames, one per event. */
  get webSocket(): Buffer {
    return (this.webSocketBytes ??= join(this.frames.map(({ webSocket }) => webSocket)));
  }

  /** SSE blocks, one per event. */
  get sse(): Buffer {
    return (this.sseBytes ??= join(this.frames.map(({ sse }) => sse)));
  }

  /** The SSE blocks as one chunk of a response (RFC 9112 §7.1). */
  get sseChunk(): Buffer {
    return (this.sseChunkBytes ??= chunkOf(this.frames.map(({ sse }) => sse)));
  }
}

function join(parts: readonly Buffer[]): Buffer {
  const [first] = parts;
  return parts.length === 1 && first ? first : Buffer.concat(parts);
}

function chunkOf(parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from(`${length.toString(16)}\r\n`), ...parts, Buffer.from('\r\n')]);
}

/** Frames one unmasked text message (RFC 6455 §5.2). */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const { length } = payload;
  let head: Buffer;
  if (length < LENGTH_16_BIT) {
    head = Buffer.from([TEXT_FRAME, length]);
  } else if (length < 65_536) {
    head = Buffer.from([TEXT_FRAME, LENGTH_16_BIT, length >>> 8, length & 0xff]);
  } else {
    head = Buffer.alloc(10);
    head.writeUInt8(TEXT_FRAME, 0);
    head.writeUInt8(LENGTH_64_BIT, 1);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** Frames one SSE block (WHATWG HTML §9.2.5). Without an id it leaves the client's last event id alone. */
export function sseBlock(event: string, data: object, id?: string): Buffer {
  // JSON text has no raw line break, so it is always one data line.
  return Buffer.from(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
}
