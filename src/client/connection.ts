import type { Ending } from './endings.js';
import type { HeraldEvent } from './events.js';
import type { Credentials, Http } from './http.js';

/** How a client is connected. */
export type Transport = 'websocket' | 'sse';

/** What a connection tells the client; nothing after `onEnd`, which comes once. */
export interface Listener {
  onLive(): void;
  onEvent(event: HeraldEvent): void;
  /** Events older than the service keeps them are missing. */
  onGap(): void;
  /** The token is about to expire. */
  onExpiring(): void;
  onEnd(ending: Ending): void;
}

/** What a connection is opened with. */
export interface Opening {
  credentials: Credentials;
  filters: readonly string[];
  /** Resume after this event. */
  lastEventId: string | undefined;
  http: Http;
  /** How often the service's heartbeat comes, in ms. */
  heartbeatMs: number;
  busyMs: number;
}

/** One live connection, whatever its transport. */
export interface Connection {
  readonly transport: Transport;
  /** The pause that the service asked for before coming back, in ms. */
  readonly retryMs: number;
  /** Closes it; its listener hears nothing more. @param isDead - nobody is there to say goodbye to. */
  close(isDead?: boolean): void;
  /** Says whether it still seems to be alive; to be asked again and again. */
  isAlive(now: number): boolean;
  /** The same after a pause of the whole machine. @param isMoved - the network may be another one. */
  survives(now: number, isMoved: boolean): boolean;
  /** Shows a new token in place; false where that takes a new connection. */
  renew(credentials: Credentials): boolean;
  /** Changes the filters in place; false where that takes a new connection. */
  change(type: 'subscribe' | 'unsubscribe', filters: readonly string[]): boolean;
}
