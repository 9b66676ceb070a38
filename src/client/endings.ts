import { HeraldError, type ErrorDetail } from './http.js';

/** Why the client waits before it comes back. */
export type WaitReason = 'network' | 'silence' | 'shutdown' | 'busy' | 'slow_consumer' | 'error';

/** Why the client has stopped. */
export type StopReason = 'closed' | 'revoked' | 'unauthorized' | 'policy';

/** What the end of a connection, or of the attempt to open one, means for what comes next. */
export type Ending =
  | { next: 'retry'; reason: WaitReason; /** The least pause. */ pauseMs?: number; error?: HeraldError }
  /** With a new token, at once. */
  | { next: 'renew'; error?: HeraldError }
  /** Without the cursor, which the service does not know, at once. */
  | { next: 'forget' }
  | { next: 'stop'; reason: StopReason; error?: HeraldError };

const CLOSE_REASONS: Record<number, WaitReason> = {
  1001: 'shutdown',
  1006: 'network',
  1012: 'shutdown',
  4408: 'silence',
  4429: 'slow_consumer',
};

/** By the close code of a WebSocket. @param busyMs - the least pause when the service is full. */
export function endingOfClose(code: number, reason: string, busyMs: number): Ending {
  const error = new HeraldError(`CLOSE_${code}`, reason || `The connection was closed with ${code}`);
  switch (code) {
    case 1008:
    case 1009:
      return { next: 'stop', reason: 'policy', error };
    case 1013:
      return { next: 'retry', reason: 'busy', pauseMs: busyMs, error };
    case 4401:
      return { next: 'renew', error };
    case 4403:
      return { next: 'stop', reason: 'revoked', error };
    default:
      return { next: 'retry', reason: CLOSE_REASONS[code] ?? 'network', error };
  }
}

/** By what `stream.end` says. */
export function endingOfStream({ reason, reconnect }: { reason: string; reconnect: boolean }): Ending {
  if (reason === 'token_expired') return { next: 'renew' };
  const error = new HeraldError('STREAM_END', `The stream ended: ${reason}`);
  if (reason === 'revoked') return { next: 'stop', reason, error };
  if (reason === 'shutdown' || reason === 'slow_consumer') return { next: 'retry', reason, error };
  return reconnect ? { next: 'retry', reason: 'error', error } : { next: 'stop', reason: 'policy', error };
}

/** By what a stream was answered with instead of opening. */
export function endingOfAnswer(error: HeraldError, busyMs: number): Ending {
  const { status, details } = error;
  if (status === 401) return { next: 'renew', error };
  if (status === 422 && details.some(({ code }) => code === 'CURSOR_UNKNOWN')) return { next: 'forget' };
  if (status === 403 || status === 422) return { next: 'stop', reason: 'policy', error };
  return endingOfFailure(error, busyMs);
}

/** The HTTP statuses of the codes that an error message of a WebSocket has, where they matter. */
const STATUS_OF_CODE: Record<string, number> = {
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  VALIDATION: 422,
  RATE_LIMITED: 429,
  SERVICE_UNAVAILABLE: 503,
};

/** By an error message of a WebSocket: the same as a stream's answer with that code; what has none may pass. */
export function endingOfMessage(
  { code = 'INTERNAL', message = '', details }: { code?: string; message?: string; details?: ErrorDetail[] },
  busyMs: number,
): Ending {
  return endingOfAnswer(new HeraldError(code, message, STATUS_OF_CODE[code] ?? 500, details), busyMs);
}

/** By what kept the client from getting a token, or an answer at all. */
export function endingOfFailure(error: HeraldError, busyMs: number): Ending {
  const { status, retryAfterSeconds } = error;
  if (status === 401 || status === 403) return { next: 'stop', reason: 'unauthorized', error };
  if (status === 429 || status === 503) {
    const pauseMs = retryAfterSeconds === undefined ? busyMs : retryAfterSeconds * 1000;
    return { next: 'retry', reason: 'busy', pauseMs, error };
  }
  return { next: 'retry', reason: status === 0 ? 'network' : 'error', error };
}

/** The ranges of the jitter, in ms. */
export interface Backoff {
  /** The range after the first failure. */
  baseMs: number;
  /** The longest range. */
  maxMs: number;
  /** The least pause when the service is full and does not say for how long. */
  busyMs: number;
}

/** How long to wait after so many failures: anything up to a limit that doubles ("full jitter"). */
export function jitter({ baseMs, maxMs }: Backoff, failures: number, random: () => number): number {
  return random() * Math.min(maxMs, baseMs * 2 ** Math.max(0, failures - 1));
}
