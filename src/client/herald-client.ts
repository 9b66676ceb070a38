/// <reference lib="esnext.disposable" preserve="true" />
import { Api } from './api.js';
import type { ClientOptions, ClientState, Gap } from './client-options.js';
import { Cursor } from './cursor.js';
import { matches, type EventFilter, type EventOf, type HeraldEvent } from './events.js';
import { Handlers } from './handlers.js';
import { HeraldError, type Http } from './http.js';
import { Link } from './link.js';
import { Session, type Auth } from './session.js';
import type { WebSocketConstructor } from './web-socket-connection.js';

export { HeraldError };
export type { Api, Auth, ClientOptions, ClientState, EventFilter, EventOf, Gap, HeraldEvent };
export type { RequestOptions } from './api.js';
export type { CursorStorage } from './client-options.js';
export type { Transport } from './connection.js';
export type { Backoff, StopReason, WaitReason } from './endings.js';
export type { EventType, HeraldEvents } from './events.js';
export type { ErrorDetail } from './http.js';
export type { Tokens, TokenSource, TokenStore } from './session.js';
export type { WebSocketConstructor, WebSocketLike } from './web-socket-connection.js';

const BACKOFF = { baseMs: 1000, maxMs: 30_000, busyMs: 15_000 };

/** Herald's events, live, and its REST API. */
export class HeraldClient {
  /** The REST API, as who the client is. */
  readonly api: Api;
  readonly #session: Session;
  readonly #filters: Set<string>;
  readonly #cursor: Cursor;
  readonly #link: Link;
  readonly #signal: AbortSignal | undefined;
  readonly #onError = new Handlers<unknown>((error) => complain(error));
  readonly #report = (error: unknown): void => {
    if (this.#onError.size > 0) this.#onError.call(error);
    else complain(error);
  };
  readonly #onState = new Handlers<ClientState>(this.#report);
  readonly #onGap = new Handlers<Gap>(this.#report);
  readonly #onEvent = new Handlers<HeraldEvent>(this.#report);

  /** @throws TypeError outside a browser without `url`, or for the transport `websocket` where there is no WebSocket. */
  constructor(options: ClientOptions = {}) {
    const { url = originOf(), auth, events = ['*'], lastEventId, storage, transport = 'auto' } = options;
    const { heartbeatMs = 30_000, timeoutMs = 15_000, random = Math.random, fetch: send = fetch } = options;
    const { WebSocket = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket, signal } = options;
    if (transport === 'websocket' && !WebSocket) {
      throw new TypeError('There is no WebSocket here: pass one as an option, such as that of "ws"');
    }
    // A browser's own fetch must not be called as a method of something else.
    const http: Http = { base: `${url.replace(/\/+$/, '')}/api/v1`, fetch: (...args) => send(...args), timeoutMs };
    this.#session = new Session(http, auth);
    this.#filters = new Set(events);
    this.api = new Api(http, this.#session);
    this.#cursor = new Cursor({
      lastEventId,
      storage,
      newest: async () => {
        const { items } = await this.api.get<{ items: { id: string }[] }>('/events?order=desc&limit=1');
        return items[0]?.id;
      },
      onGap: (gap) => this.#onGap.call(gap),
      report: this.#report,
    });
    this.#link = new Link({
      http,
      session: this.#session,
      cursor: this.#cursor,
      filters: this.#filters,
      transport,
      WebSocket,
      heartbeatMs,
      backoff: { ...BACKOFF, ...options.backoff },
      random,
      onState: (state) => this.#onState.call(state),
      onEvent: (event) => this.#take(event),
    });
    this.#signal = signal;
    signal?.addEventListener('abort', () => this.close());
  }

  /** Where it stands. */
  get state(): ClientState {
    return this.#link.state;
  }

  /** The id of the last event that was handed to handlers; before the first, of what it started after. */
  get lastEventId(): string | undefined {
    return this.#cursor.id;
  }

  /**
   * Connects, and stays connected until {@link close} or a reason to stop. Does nothing while it is at it already, unless
   * it becomes somebody else.
   */
  connect({ auth }: { auth?: Auth } = {}): void {
    const { status } = this.state;
    if (this.#signal?.aborted) return;
    if (auth) this.#session.become(auth);
    if (auth || status === 'idle' || status === 'stopped') this.#link.start();
  }

  /** Disconnects for good, or until {@link connect}. */
  close(): void {
    this.#link.stop('closed');
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Calls a handler with each event that a filter lets through. @returns what takes it away, as `signal` does. */
  on<F extends EventFilter>(
    filter: F,
    handler: (event: EventOf<F>) => unknown,
    { signal }: { signal?: AbortSignal } = {},
  ): () => void {
    const choose = (event: HeraldEvent): unknown =>
      matches(filter, event.type) ? handler(event as EventOf<F>) : undefined;
    return this.#onEvent.add(choose, signal);
  }

  /** Calls a handler with each state that follows. @returns what takes it away. */
  onState(handler: (state: ClientState) => unknown): () => void {
    return this.#onState.add(handler);
  }

  /** Calls a handler when events may be missing. @returns what takes it away. */
  onGap(handler: (gap: Gap) => unknown): () => void {
    return this.#onGap.add(handler);
  }

  /** Calls a handler with what other handlers, or the storage, throw; without one the console is told. */
  onError(handler: (error: unknown) => unknown): () => void {
    return this.#onError.add(handler);
  }

  /** Adds filters. */
  subscribe(...filters: EventFilter[]): void {
    const fresh = filters.filter((filter) => !this.#filters.has(filter));
    for (const filter of fresh) this.#filters.add(filter);
    if (fresh.length > 0) this.#link.change('subscribe', fresh);
  }

  /** Takes filters away. @throws RangeError when none would be left. */
  unsubscribe(...filters: EventFilter[]): void {
    const gone = new Set(filters.filter((filter) => this.#filters.has(filter)));
    if (gone.size === this.#filters.size) throw new RangeError('One filter must stay; close() ends the client');
    for (const filter of gone) this.#filters.delete(filter);
    if (gone.size > 0) this.#link.change('unsubscribe', [...gone]);
  }

  #take(event: HeraldEvent): void {
    if (!this.#cursor.isNew(event.id)) return;
    this.#onEvent.call(event);
    this.#cursor.advance(event.id);
  }
}

function originOf(): string {
  const { location } = globalThis as { location?: { origin: string } };
  if (!location) throw new TypeError('Outside a browser the client needs "url", such as http://localhost:3000');
  return location.origin;
}

/** Tells whoever looks at the console. */
function complain(error: unknown): void {
  // oxlint-disable-next-line no-console -- nobody else is there to be told
  console.error('Herald client:', error);
}
