/** One particular of an error: the field it concerns, or a code a program can act on. */
export interface ErrorDetail {
  field?: string;
  code?: string;
  message: string;
}

/** What a request, or the connection, failed of. */
export class HeraldError extends Error {
  override readonly name = 'HeraldError';

  constructor(
    /** A code of the contract such as `UNAUTHORIZED`, or `NETWORK` where no answer came. */
    readonly code: string,
    message: string,
    /** The HTTP status; 0 where no answer came. */
    readonly status = 0,
    readonly details: readonly ErrorDetail[] = [],
    /** Finds the request in the service's log. */
    readonly requestId?: string,
    /** Seconds after which trying again makes sense. */
    readonly retryAfterSeconds?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** How requests reach the service. */
export interface Http {
  /** The base of all paths, ending in `/api/v1`. */
  base: string;
  fetch: typeof fetch;
  timeoutMs: number;
}

/** What a request or a connection shows. */
export interface Credentials {
  token?: string;
  apiKey?: string;
}

/** The headers that show them. */
export function headersOf({ token, apiKey }: Credentials = {}): Record<string, string> {
  if (token !== undefined) return { Authorization: `Bearer ${token}` };
  return apiKey === undefined ? {} : { 'X-API-Key': apiKey };
}

/** One request, and the `data` of its answer. @throws HeraldError */
export async function call(
  { base, fetch: send, timeoutMs }: Http,
  path: string,
  request: { method: string; headers?: Record<string, string>; body?: unknown; signal?: AbortSignal },
): Promise<unknown> {
  const { method, headers, body, signal } = request;
  const abort = new AbortController();
  const cancel = (): void => abort.abort(signal?.reason);
  const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  signal?.addEventListener('abort', cancel);
  if (signal?.aborted) cancel();
  try {
    const response = await send(base + path, {
      method,
      headers: { ...headers, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: abort.signal,
    });
    if (!response.ok) throw await errorOf(response);
    const text = await response.text();
    return text === '' ? undefined : (JSON.parse(text) as { data: unknown }).data;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw networkError(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', cancel);
  }
}

/** Passes on what is a {@link HeraldError}; everything else is a failure of the network. */
export function networkError(error: unknown): HeraldError {
  if (error instanceof HeraldError) return error;
  const message = `The service was not reached: ${error instanceof Error ? error.message : String(error)}`;
  return new HeraldError('NETWORK', message, 0, [], undefined, undefined, { cause: error });
}

/** Reads the error out of an answer; a proxy's need not have the contract's shape. */
export async function errorOf(response: Response): Promise<HeraldError> {
  const body = (await response.json().catch(() => undefined)) as
    { error?: { code?: string; message?: string; details?: ErrorDetail[] }; requestId?: string } | undefined;
  const { code = 'HTTP', message = `The answer was ${response.status}`, details } = body?.error ?? {};
  const retryAfter = secondsUntil(response.headers.get('Retry-After'));
  return new HeraldError(code, message, response.status, details, body?.requestId, retryAfter);
}

/** Reads `Retry-After`: seconds, or a date (RFC 9110 §10.2.3). */
function secondsUntil(text: string | null): number | undefined {
  if (text === null) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
