import type { DomainEvent, EventEnvelope } from '../events/domain-event.js';

/**
 * One event on its way to many connections, encoded once per wire format, at the first connection that needs it.
 */
export class EventFrames {
  private webSocketText: Buffer | undefined;
  private sseBlock: Buffer | undefined;

  constructor(readonly event: DomainEvent) {}

  /** The WebSocket message: `{"type":"event","event":{…}}`. */
  get webSocket(): Buffer {
    const { id, type, timestamp, payload } = this.event;
    const event: EventEnvelope = { id, type, timestamp, payload };
    return (this.webSocketText ??= Buffer.from(JSON.stringify({ type: 'event', event })));
  }

  /** The SSE block: `event`, `id`, `data`, in the specification's order. */
  get sse(): Buffer {
    const { id, type, timestamp, payload } = this.event;
    return (this.sseBlock ??= sseBlock(type, { type, timestamp, payload }, id));
  }
}

/** Frames one SSE block (WHATWG HTML §9.2.5). Without an id it leaves the client's last event id alone. */
export function sseBlock(event: string, data: object, id?: string): Buffer {
  // JSON text has no raw line break, so it is always one data line.
  return Buffer.from(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
}
