import type { ClientState } from './client-options.js';
import type { Connection, Listener, Transport } from './connection.js';
import type { Cursor } from './cursor.js';
import { endingOfFailure, jitter, type Backoff, type Ending, type StopReason } from './endings.js';
import type { HeraldEvent } from './events.js';
import { HeraldError, networkError, type Http } from './http.js';
import type { Session } from './session.js';
import { SseConnection } from './sse-connection.js';
import { watchForWake } from './wake.js';
import { WebSocketConnection, type WebSocketConstructor } from './web-socket-connection.js';

const TICK_MS = 1000;
/** Between two ticks more than this, and the timers have stood still. */
const JUMP_MS = 5000;
/** A connection that lived as long begins the count of failures anew. */
const STEADY_MS = 10_000;
/** After a failed attempt to replace the token of a live connection. */
const RENEW_AGAIN_MS = 5000;

/** What a link works with. */
export interface LinkParts {
  http: Http;
  session: Session;
  cursor: Cursor;
  filters: ReadonlySet<string>;
  transport: Transport | 'auto';
  WebSocket: WebSocketConstructor | undefined;
  heartbeatMs: number;
  backoff: Backoff;
  random: () => number;
  onState: (state: ClientState) => void;
  onEvent: (event: HeraldEvent) => void;
}

/** Keeps a client connected: opens connections, watches them, and decides what comes after each. */
export class Link {
  #state: ClientState = { status: 'idle' };
  #connection: Connection | undefined;
  /** The connection is live; the state says so for longer, while one is opened in the place of another. */
  #isUp = false;
  /** When the connection became live, or the attempt began, in epoch ms. */
  #since = 0;
  /** Counts attempts to connect: what an earlier one still brings about is void. */
  #run = 0;
  #failures = 0;
  /** Connections that never became live, before the first WebSocket that did. */
  #unproven = 0;
  #isProven = false;
  /** The token was replaced, and no connection was live since. */
  #isRenewed = false;
  /** What the connection was opened with, or shown since. */
  #token: string | undefined;
  /** Not to be renewed before, in epoch ms. */
  #renewAfter = 0;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tickedAt = 0;
  #unwatch: (() => void) | undefined;

  constructor(private readonly parts: LinkParts) {}

  get state(): ClientState {
    return this.#state;
  }

  /** Begins, or begins anew. */
  start(): void {
    this.#failures = 0;
    this.#isRenewed = false;
    this.#tickedAt = Date.now();
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS);
    this.#unwatch ??= watchForWake((isMoved) => this.#wake(isMoved));
    this.#open();
  }

  /** Ends it, until {@link start}. */
  stop(reason: StopReason, error?: HeraldError): void {
    if (this.#state.status === 'stopped') return;
    clearInterval(this.#ticker);
    this.#unwatch?.();
    this.#ticker = this.#unwatch = undefined;
    this.#drop();
    this.#enter({ status: 'stopped', reason, ...(error && { error }) });
  }

  /** Brings a change of the filters, which has been made, to the service. */
  change(type: 'subscribe' | 'unsubscribe', filters: readonly string[]): void {
    const connection = this.#connection;
    if (connection && !(this.#isUp && connection.change(type, filters))) this.#open(this.#state);
  }

  /** Lets go of what there is. */
  #drop(isDead = false): void {
    clearTimeout(this.#timer);
    this.#run += 1;
    this.#connection?.close(isDead);
    this.#connection = undefined;
    this.#isUp = false;
  }

  /** @param state - what to say meanwhile. */
  #open(state: ClientState = { status: 'connecting', attempt: this.#failures + 1 }): void {
    this.#drop();
    const run = this.#run;
    this.#since = Date.now();
    this.#enter(state);
    this.#begin(run).catch((error: unknown) => {
      if (run === this.#run) this.#end(endingOfFailure(networkError(error), this.parts.backoff.busyMs));
    });
  }

  async #begin(run: number): Promise<void> {
    const { http, session, cursor, filters, heartbeatMs, backoff } = this.parts;
    const credentials = await session.credentials();
    if (!credentials) throw new HeraldError('UNAUTHORIZED', 'There is nothing to authenticate with: see "auth"', 401);
    const lastEventId = await cursor.locate();
    if (run !== this.#run) return;
    this.#token = credentials.token;
    this.#renewAfter = 0;
    const { busyMs } = backoff;
    const opening = { http, credentials, filters: [...filters], lastEventId, heartbeatMs, busyMs };
    const listener = this.#listener(run);
    const WebSocket = this.#takesStream() ? undefined : this.parts.WebSocket;
    this.#connection = WebSocket
      ? new WebSocketConnection(WebSocket, opening, listener)
      : new SseConnection(opening, listener);
  }

  /** Where no WebSocket gets through, say past a proxy, every other attempt is a stream. */
  #takesStream(): boolean {
    const { transport } = this.parts;
    if (transport !== 'auto') return transport === 'sse';
    return !this.#isProven && this.#unproven >= 2 && this.#unproven % 2 === 0;
  }

  #listener(run: number): Listener {
    const ifCurrent = <A extends unknown[]>(act: (...args: A) => void) => {
      return (...args: A): void => {
        if (run === this.#run) act(...args);
      };
    };
    return {
      onLive: ifCurrent(() => this.#live()),
      onEvent: ifCurrent((event: HeraldEvent) => this.parts.onEvent(event)),
      onGap: ifCurrent(() => this.parts.cursor.gap('retention')),
      onExpiring: ifCurrent(() => this.#renew()),
      onEnd: ifCurrent((ending: Ending) => this.#end(ending)),
    };
  }

  #live(): void {
    const { transport } = this.#connection as Connection;
    this.#since = Date.now();
    this.#isUp = true;
    this.#isRenewed = false;
    if (transport === 'websocket') this.#isProven = true;
    this.parts.cursor.live();
    this.#enter({ status: 'live', transport });
  }

  /** Shows a new token before the old one expires: in place, or on a new connection. */
  #renew(): void {
    const run = this.#run;
    const { session } = this.parts;
    this.#renewAfter = Number.POSITIVE_INFINITY;
    if (this.#token !== undefined) session.expire(this.#token);
    session.credentials().then(
      (credentials) => {
        const connection = this.#connection;
        if (run !== this.#run || !credentials || !connection) return;
        this.#renewAfter = 0;
        this.#token = credentials.token;
        if (!connection.renew(credentials)) this.#open(this.#state);
      },
      // The connection lives for a while yet, and a later attempt may succeed; in the end its end decides.
      () => (this.#renewAfter = Date.now() + RENEW_AGAIN_MS),
    );
  }

  /** @param isDead - nobody is there to say goodbye to. */
  #end(ending: Ending, isDead = false): void {
    const isSteady = this.#isUp && Date.now() - this.#since >= STEADY_MS;
    const { retryMs = 0 } = this.#connection ?? {};
    if (this.#connection && !this.#isUp) this.#unproven += 1;
    this.#drop(isDead);
    switch (ending.next) {
      case 'stop':
        return this.stop(ending.reason, ending.error);
      case 'renew':
        // Refused although it was new: another one would be, too.
        if (this.#isRenewed) return this.stop('unauthorized', ending.error);
        this.#isRenewed = true;
        if (this.#token !== undefined) this.parts.session.expire(this.#token);
        return this.#open();
      case 'forget':
        this.parts.cursor.forget();
        return this.#open();
      case 'retry':
        this.#failures = isSteady ? 1 : this.#failures + 1;
        // The pause that a stream asks for is for the crowd after its end; what has gone silent is alone.
        return this.#wait(ending, ending.pauseMs ?? (ending.reason === 'silence' ? 0 : retryMs));
    }
  }

  #wait({ reason, error }: Extract<Ending, { next: 'retry' }>, pauseMs: number): void {
    const { backoff, random } = this.parts;
    const delay = pauseMs + jitter(backoff, this.#failures, random);
    this.#timer = setTimeout(() => this.#open(), delay);
    const retryAt = Date.now() + delay;
    this.#enter({ status: 'waiting', attempt: this.#failures, retryAt, reason, ...(error && { error }) });
  }

  #enter(state: ClientState): void {
    // One live connection in the place of another is nothing new.
    const isSame =
      state.status === 'live' && this.#state.status === 'live' && state.transport === this.#state.transport;
    if (isSame || state === this.#state) return;
    this.#state = state;
    this.parts.onState(state);
  }

  /** Looks at everything that is due by the clock, which goes on when timers do not. */
  #tick(): void {
    const now = Date.now();
    const hasJumped = now - this.#tickedAt > JUMP_MS;
    this.#tickedAt = now;
    const connection = this.#connection;
    if (hasJumped) this.#wake(false);
    else if (this.#state.status === 'waiting') this.#hurry(now, false);
    else if (!this.#isUp || !connection) this.#expectLive(now);
    else if (!connection.isAlive(now)) this.#giveUp('silence');
    else if (now >= this.#renewAfter && this.#token !== undefined && this.parts.session.isDue(this.#token))
      this.#renew();
  }

  /** Looks after a pause of the page, the machine or the network. */
  #wake(isMoved: boolean): void {
    const now = Date.now();
    if (this.#state.status === 'waiting') this.#hurry(now, true);
    else if (!this.#isUp) this.#expectLive(now);
    else if (this.#connection?.survives(now, isMoved) === false) this.#giveUp('silence');
  }

  /** Ends a wait that is over, or that nobody asked for. */
  #hurry(now: number, isAwake: boolean): void {
    const { state } = this;
    if (state.status !== 'waiting') return;
    if (now >= state.retryAt || (isAwake && state.reason !== 'busy')) this.#open();
  }

  #expectLive(now: number): void {
    if (now - this.#since > this.parts.http.timeoutMs) this.#giveUp('network');
  }

  /** Lets go of a connection of which nothing is heard. */
  #giveUp(reason: 'network' | 'silence'): void {
    this.#end({ next: 'retry', reason }, true);
  }
}
