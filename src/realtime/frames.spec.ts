import { describe, expect, it } from 'vitest';
import type { DomainEvent } from '../events/domain-event.js';
import { EventFrames, sseBlock } from './frames.js';

const event: DomainEvent<'user.registered'> = {
  seq: 7,
  id: 'evt-550e8400-e29b-41d4-a716-446655440000',
  type: 'user.registered',
  timestamp: '2026-02-16T12:00:00.000Z',
  payload: { userId: 'user-uuid' },
  subject: 'user-uuid',
  origin: { requestId: 'r', actorId: null, sessionId: null, ip: '127.0.0.1', userAgent: 'x' },
};

describe('frames', () => {
  it('are exactly the specification’s, and tell nothing of the origin', () => {
    const frames = EventFrames.of(event);
    // FIN and text, the length in 16 bits, then the message.
    expect([...frames.webSocket.subarray(0, 4)]).toEqual([0x81, 126, 0, frames.webSocket.length - 4]);
    expect(frames.webSocket.subarray(4).toString()).toBe(
      '{"type":"event","event":{"id":"evt-550e8400-e29b-41d4-a716-446655440000","type":"user.registered","timestamp":"2026-02-16T12:00:00.000Z","payload":{"userId":"user-uuid"}}}',
    );
    expect(frames.sse.toString()).toBe(
      'event: user.registered\nid: evt-550e8400-e29b-41d4-a716-446655440000\ndata: {"type":"user.registered","timestamp":"2026-02-16T12:00:00.000Z","payload":{"userId":"user-uuid"}}\n\n',
    );
  });

  it('are encoded once', () => {
    const frames = EventFrames.of(event);
    expect(frames.webSocket).toBe(frames.webSocket);
    expect(frames.sse).toBe(frames.sse);
  });

  it('without an id have no id line', () => {
    expect(sseBlock('stream.gap', { a: 'x\ny' }).toString()).toBe('event: stream.gap\ndata: {"a":"x\\ny"}\n\n');
  });
});
