/** The error codes of the REST contract and the HTTP status each one answers with. */
export const HTTP_STATUS = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  VALIDATION: 422,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  SERVICE_UNAVAILABLE: 503,
} as const;

/** One of the contract's error codes. */
export type ErrorCode = keyof typeof HTTP_STATUS;

/** One particular of an error: the field it concerns, or a `NOUN_REASON` code a program can act on. */
export interface ErrorDetail {
  field?: string;
  code?: string;
  message: string;
}

/**
 * The only error that services throw on purpose.
 *
 * One filter turns it into an HTTP answer and another into a WebSocket answer, so no service knows its transport.
 * The message is for the client: it says what is wrong and, where there is one, the cure. It never holds a secret.
 */
export class AppError extends Error {
  override readonly name = 'AppError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details?: readonly ErrorDetail[],
    /** Seconds after which trying again makes sense; becomes the `Retry-After` header (RFC 9110 §10.2.3). */
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
  }

  get httpStatus(): number {
    return HTTP_STATUS[this.code];
  }
}
