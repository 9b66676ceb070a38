import type { Connection, Listener, Opening } from './connection.js';
import { endingOfAnswer, endingOfFailure, endingOfStream, type Ending } from './endings.js';
import type { HeraldEvent } from './events.js';
import { errorOf, headersOf, HeraldError, networkError } from './http.js';
import { SseParser, type SseBlock } from './sse-parser.js';

/** How many heartbeats may be missing. */
const MISSING_HEARTBEATS = 2.5;

/** The event stream, by `fetch`, which can carry the token in a header where an `EventSource` cannot. */
export class SseConnection implements Connection {
  readonly transport = 'sse';
  retryMs = 0;
  private readonly abort = new AbortController();
  private receivedAt = Date.now();
  private listener: Listener | undefined;

  constructor(
    private readonly opening: Opening,
    listener: Listener,
  ) {
    this.listener = listener;
    this.read().then(
      () => this.end({ next: 'retry', reason: 'network', error: new HeraldError('NETWORK', 'The stream broke off') }),
      (error: unknown) => this.end(endingOfFailure(networkError(error), opening.busyMs)),
    );
  }

  close(): void {
    this.listener = undefined;
    this.abort.abort();
  }

  isAlive(now: number): boolean {
    return now - this.receivedAt < MISSING_HEARTBEATS * this.opening.heartbeatMs;
  }

  survives(now: number, isMoved: boolean): boolean {
    // A stream cannot be asked, but opening it anew costs little.
    return !isMoved && now - this.receivedAt < 1.2 * this.opening.heartbeatMs;
  }

  renew(): boolean {
    return false;
  }

  change(): boolean {
    return false;
  }

  private async read(): Promise<void> {
    const { http, credentials, filters, lastEventId, busyMs } = this.opening;
    const request = {
      headers: {
        Accept: 'text/event-stream',
        ...headersOf(credentials),
        ...(lastEventId !== undefined && { 'Last-Event-ID': lastEventId }),
      },
      // Or a browser has streams of the same address wait for each other.
      cache: 'no-store' as const,
      signal: this.abort.signal,
    };
    const response = await http.fetch(
      `${http.base}/events/stream?events=${encodeURIComponent(filters.join())}`,
      request,
    );
    if (!response.ok || !response.body) return this.end(endingOfAnswer(await errorOf(response), busyMs));
    if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) throw new Error('no event stream');
    this.receivedAt = Date.now();
    this.listener?.onLive();
    const parser = new SseParser(
      (block) => this.take(block),
      (ms) => (this.retryMs = ms),
    );
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.receivedAt = Date.now();
      parser.push(decoder.decode(value, { stream: true }));
    }
  }

  private take({ event, data, id }: SseBlock): void {
    const value = JSON.parse(data) as object;
    if (id !== undefined) this.listener?.onEvent({ id, ...value } as HeraldEvent);
    else if (event === 'stream.gap') this.listener?.onGap();
    else if (event === 'stream.expiring') this.listener?.onExpiring();
    else if (event === 'stream.end') this.end(endingOfStream(value as Parameters<typeof endingOfStream>[0]));
  }

  private end(ending: Ending): void {
    const { listener } = this;
    this.close();
    listener?.onEnd(ending);
  }
}
