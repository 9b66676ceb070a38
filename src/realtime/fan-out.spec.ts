import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { PassThrough, type Writable } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { seededRandom } from '../../test/support/random.js';
import type { DomainEvent } from '../events/domain-event.js';
import { FanOut } from './fan-out.js';
import { EventFrames, type EventBatch } from './frames.js';
import { RealtimeConnection, type EndReason } from './realtime-connection.js';

const SEED = Number(process.env['FAN_OUT_SEED'] ?? randomInt(2 ** 31));

class Client extends RealtimeConnection {
  readonly batches: number[][] = [];
  readonly ends: EndReason[] = [];
  backlogBytes = 0;

  constructor(userId: string, filters: string[], role: 'user' | 'admin' = 'user') {
    super(new PassThrough() as unknown as Socket, null);
    this.principal = { userId, email: `${userId}@example.com`, role, sessionId: 's', expiresAt: Infinity };
    for (const filter of filters) this.filters.set(filter, 0);
  }
  override get bufferedBytes(): number {
    return this.backlogBytes;
  }
  sizeOf({ frames }: EventBatch): number {
    return frames.length * 10;
  }
  get seqs(): number[] {
    return this.batches.flat();
  }
  protected get sink(): Writable {
    return this.socket;
  }
  readonly transport = 'sse';
  protected readonly keepAliveAt = Number.POSITIVE_INFINITY;
  protected keepAlive(): void {}
  protected writeExpiring(): void {}
  protected writeEnd(reason: EndReason): void {
    this.ends.push(reason);
  }
  protected writeEvents({ frames }: EventBatch): void {
    this.batches.push(frames.map(({ event }) => event.seq));
  }
}

const event = (seq: number, type = 'logout', subject = 'u') =>
  EventFrames.of({ seq, id: `evt-${seq}`, type, subject, timestamp: '', payload: {} } as unknown as DomainEvent);
const newFanOut = () =>
  new FanOut({ maxBufferedBytes: 1_000_000, onSlow: (connection) => connection.end('slow_consumer') });

describe('the fan-out', () => {
  it('sends at once when it is quiet, and what comes in the same breath in one write', async () => {
    const [fanOut, client] = [newFanOut(), new Client('u', ['*'])];
    fanOut.join(client);
    fanOut.publish(event(1));
    fanOut.publish(event(2));
    expect(client.batches).toEqual([]);
    await Promise.resolve();
    expect(client.batches).toEqual([[1, 2]]);
    expect(client.lastEventId).toBe('evt-2');
  });

  it('gathers for some milliseconds while many come, counted from the end of the last flush', async () => {
    vi.useFakeTimers();
    try {
      const [fanOut, client] = [newFanOut(), new Client('u', ['*'])];
      fanOut.join(client);
      fanOut.publish(event(0));
      fanOut.publish(event(1));
      await Promise.resolve();
      for (const seq of [2, 3, 4]) {
        vi.advanceTimersByTime(2);
        fanOut.publish(event(seq));
      }
      expect(client.batches).toEqual([[0, 1]]);
      vi.advanceTimersByTime(2);
      const sent = [
        [0, 1],
        [2, 3, 4],
      ];
      expect(client.batches).toEqual(sent);
      // Quiet again after a while.
      vi.advanceTimersByTime(50);
      for (const seq of [5, 6]) {
        fanOut.publish(event(seq));
        await Promise.resolve();
      }
      expect(client.batches).toEqual([...sent, [5], [6]]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('encodes a batch once for all who get the same, and writes once to each', () => {
    const fanOut = newFanOut();
    const clients = Array.from({ length: 3 }, () => new Client('a', ['login.*', 'logout'], 'admin'));
    const sent = clients.map((client) => vi.spyOn(client, 'send'));
    clients.forEach((client) => fanOut.join(client));
    for (let seq = 1; seq <= 5; seq += 1) fanOut.publish(event(seq));
    fanOut.flush();
    const batches = sent.map((spy) => spy.mock.calls.map(([batch]) => batch));
    expect(batches.map(({ length }) => length)).toEqual([1, 1, 1]);
    expect(new Set(batches.flat()).size).toBe(1);
  });

  it('ends a client for which more would wait than may, before it is added', () => {
    const fanOut = new FanOut({ maxBufferedBytes: 100, onSlow: (connection) => connection.end('slow_consumer') });
    const [slow, quick] = [new Client('u', ['*']), new Client('u', ['*'])];
    for (const client of [slow, quick]) fanOut.join(client);
    slow.backlogBytes = 80;
    for (const seq of [1, 2]) fanOut.publish(event(seq));
    fanOut.flush();
    slow.backlogBytes = 91;
    fanOut.publish(event(3));
    fanOut.publish(event(4));
    fanOut.flush();
    expect([slow.seqs, slow.ends, slow.lastEventId]).toEqual([[1, 2], ['slow_consumer'], 'evt-2']);
    expect([quick.seqs, quick.ends]).toEqual([[1, 2, 3, 4], []]);
  });

  it('sends before an end what came before it', () => {
    const [fanOut, client] = [newFanOut(), new Client('u', ['*'])];
    fanOut.join(client);
    fanOut.publish(event(1));
    client.end('revoked');
    fanOut.publish(event(2));
    fanOut.flush();
    expect([client.seqs, client.ends]).toEqual([[1], ['revoked']]);
  });

  it(`sends each exactly what it may and wants, through any coming and going (FAN_OUT_SEED=${SEED})`, () => {
    const next = seededRandom(SEED);
    const random = (below: number) => Math.floor(next() * below);
    const types = ['login.failed', 'login.success', 'logout', 'mfa.enabled'];
    const filters = [['*'], ['login.*'], ['logout', 'login.failed'], ['mfa.enabled']];
    const fanOut = newFanOut();
    const clients = Array.from({ length: 30 }, (_, n) => ({
      client: new Client(`u${n % 5}`, filters[random(4)] ?? [], n % 7 === 0 ? 'admin' : 'user'),
      live: false,
      due: [] as number[],
    }));
    for (let seq = 1; seq <= 3000; seq += 1) {
      const [type, subject] = [String(types[random(4)]), `u${random(6)}`];
      fanOut.publish(event(seq, type, subject));
      for (const { client, live, due } of clients) {
        const wants = [...client.filters.keys()].some(
          (filter) =>
            filter === '*' || filter === type || (filter.endsWith('.*') && type.startsWith(filter.slice(0, -1))),
        );
        const may = client.principal?.role === 'admin' || client.principal?.userId === subject;
        if (live && wants && may) due.push(seq);
      }
      const one = clients[random(clients.length)];
      if (!one) continue;
      const act = random(6);
      if (act === 0) fanOut.join(one.client);
      if (act === 1) fanOut.leave(one.client);
      if (act < 2) one.live = act === 0;
      if (act === 2) fanOut.flushOne(one.client);
      if (act === 3) fanOut.flush();
      if (act === 4) {
        one.client.sendWaiting();
        one.client.filters.clear();
        for (const filter of filters[random(4)] ?? []) one.client.filters.set(filter, 0);
        if (one.live) fanOut.join(one.client);
      }
    }
    fanOut.flush();
    for (const { client, due } of clients) expect(client.seqs).toEqual(due);
    expect(clients.filter(({ due }) => due.length > 20).length).toBeGreaterThan(10);
  });
});
