import type { Transport } from './connection.js';
import type { Backoff, StopReason, WaitReason } from './endings.js';
import type { EventFilter } from './events.js';
import type { HeraldError } from './http.js';
import type { Auth } from './session.js';
import type { WebSocketConstructor } from './web-socket-connection.js';

/** Where a client stands. */
export type ClientState =
  | { status: 'idle' }
  | { status: 'connecting'; /** From 1. */ attempt: number }
  | { status: 'live'; transport: Transport }
  | {
      status: 'waiting';
      /** Failures in a row. */
      attempt: number;
      /** Epoch ms. */
      retryAt: number;
      reason: WaitReason;
      error?: HeraldError;
    }
  | { status: 'stopped'; reason: StopReason; error?: HeraldError };

/** Events may be missing: the service no longer has them, does not know the cursor any more, or there was none yet. */
export interface Gap {
  reason: 'retention' | 'cursor' | 'unknown';
  /** What the client wanted to resume after. */
  lastEventId?: string;
}

/** Keeps the id of the last event across reloads. */
export interface CursorStorage {
  get(): string | null | undefined | Promise<string | null | undefined>;
  set(id: string): unknown;
}

/** What a client may be told; the README of the package has the same as a table. */
export interface ClientOptions {
  /** Where Herald is. @default the page's origin */
  url?: string;
  /** Who the client is; without it, only what is public can be reached. */
  auth?: Auth;
  /** What the service is to send. @default ['*'] */
  events?: readonly EventFilter[];
  /** @default 'auto' WebSocket, and SSE where there is none or none gets through */
  transport?: Transport | 'auto';
  /** Resume after this event. */
  lastEventId?: string;
  storage?: CursorStorage;
  /** Closes the client. */
  signal?: AbortSignal;
  /** How often the service's heartbeat comes, in ms. @default 30000 */
  heartbeatMs?: number;
  /** For a request, and for a connection to become live, in ms. @default 15000 */
  timeoutMs?: number;
  /** @default { baseMs: 1000, maxMs: 30000, busyMs: 15000 } */
  backoff?: Partial<Backoff>;
  /** @default the global one; Node 20 has none */
  WebSocket?: WebSocketConstructor;
  /** @default the global one */
  fetch?: typeof fetch;
  /** From 0 to below 1. @default Math.random */
  random?: () => number;
}
