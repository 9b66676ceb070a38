import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { refusalOf, type AddressRange } from './address-policy.js';
import { parseRetryAfter, type AttemptResult } from './delivery-schedule.js';
import { NameResolver, type Resolve } from './name-resolver.js';

const MAX_RESPONSE_BYTES = 1024;
/** The rest of a longer answer is read up to here, so that its connection can be used again. */
const MAX_DRAINED_BYTES = 65_536;
const KEEP_ALIVE_MS = 4000;

/** Failures that say that this host cannot reach anybody: no name server, no route, no port or file handle left. */
const HOST_FAULTS = new Set([
  'EAI_AGAIN',
  'ESERVFAIL',
  'ETIMEOUT',
  'EAI_MEMORY',
  'EAI_SYSTEM',
  'ENETDOWN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
]);

/** Thrown where a webhook may not go: the address is not public and nobody allowed it. */
export class AddressRefusedError extends Error {
  override readonly name = 'AddressRefusedError';
}

/** One request to make. */
export interface WebhookRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
  signal?: AbortSignal;
}

/**
 * Makes the requests of webhooks, and of extensions that tell other systems something.
 *
 * The address is checked when the connection is made, and the one that was checked is the one that is used, so that a
 * name cannot change between the two (DNS rebinding). Redirects are not followed; answers are capped in time and size.
 */
export class WebhookClient {
  private readonly agent: Agent;

  constructor(
    private readonly options: { timeoutMs: number; allowed: readonly AddressRange[] },
    private readonly resolve: Resolve = new NameResolver().resolve,
  ) {
    const connect = buildConnector({
      timeout: options.timeoutMs,
      allowH2: false,
      lookup: (hostname, lookupOptions, callback) => void this.lookup(hostname, lookupOptions, callback),
    });
    this.agent = new Agent({
      keepAliveTimeout: KEEP_ALIVE_MS,
      // A lookup is not made for an address in the URL itself.
      connect: (target, callback) => {
        const refusal = this.refusalOfLiteral(target.hostname);
        if (refusal === undefined) connect(target, callback);
        else callback(new AddressRefusedError(refusal), null);
      },
    });
  }

  /** Says why a URL's host may not be reached, as far as is known before connecting; undefined when it may. */
  async refusalOf(url: string): Promise<string | undefined> {
    const { hostname } = new URL(url);
    if (isIP(hostname.replace(/^\[|\]$/g, ''))) return this.refusalOfLiteral(hostname);
    try {
      await this.addressesOf(hostname);
    } catch (error) {
      if (error instanceof AddressRefusedError) return error.message;
      // A name that does not resolve now may do so later: that is looked at with every connection.
    }
    return undefined;
  }

  /** Makes one attempt. It never throws: whatever happens is a result. */
  async send({ url, headers, body, signal }: WebhookRequest): Promise<AttemptResult> {
    const { timeoutMs } = this.options;
    const at = Date.now();
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`No answer within ${timeoutMs} ms`)), timeoutMs);
    const signals = signal ? AbortSignal.any([timeout.signal, signal]) : timeout.signal;
    const { origin, pathname, search } = new URL(url);
    const ended = (rest: Partial<AttemptResult>): AttemptResult => ({
      outcome: 'failed',
      at,
      durationMs: Date.now() - at,
      status: null,
      response: null,
      error: null,
      retryAfterMs: null,
      ...rest,
    });
    try {
      const path = `${pathname}${search}`;
      const answer = await this.agent.request({ origin, path, method: 'POST', headers, body, signal: signals });
      const response = await readStart(answer.body);
      return ended({ ...judge(answer), response });
    } catch (error) {
      const cause = timeout.signal.aborted ? (timeout.signal.reason as Error) : error;
      return ended({ outcome: isHostFault(cause) ? 'host' : 'failed', error: describe(cause) });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes the kept connections. */
  async close(): Promise<void> {
    await this.agent.close();
  }

  private refusalOfLiteral(hostname: string): string | undefined {
    return isIP(hostname.replace(/^\[|\]$/g, '')) ? refusalOf(hostname, this.options.allowed) : undefined;
  }

  private async addressesOf(hostname: string): Promise<LookupAddress[]> {
    const addresses = await this.resolve(hostname);
    // A name that also points inside is an attack or a mistake: it is refused as a whole.
    for (const { address } of addresses) {
      const refusal = refusalOf(address, this.options.allowed);
      if (refusal !== undefined) throw new AddressRefusedError(`${hostname}: ${refusal}`);
    }
    return addresses;
  }

  /** Answers `net.connect`, which connects to what it is told here and to nothing else. */
  private async lookup(
    hostname: string,
    { all }: LookupOptions,
    callback: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
  ): Promise<void> {
    const outcome = await this.addressesOf(hostname).catch((error: Error) => error);
    if (outcome instanceof Error) return callback(outcome, []);
    if (all) return callback(null, outcome);
    const [first] = outcome;
    if (first) callback(null, first.address, first.family);
    else callback(Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' }), []);
  }
}

/** Success is any 2xx; everything else, redirects included, is a failure. */
function judge({ statusCode, headers }: Dispatcher.ResponseData): Partial<AttemptResult> {
  if (statusCode >= 200 && statusCode < 300) return { outcome: 'delivered', status: statusCode };
  const error = `The receiver answered ${statusCode}`;
  if (statusCode === 410) return { outcome: 'gone', status: statusCode, error };
  const asks = statusCode === 429 || statusCode === 503;
  const header = headers['retry-after'];
  const retryAfterMs = asks ? parseRetryAfter(Array.isArray(header) ? header[0] : header, Date.now()) : null;
  return { status: statusCode, error, retryAfterMs };
}

/** Reads the first KB of an answer. What breaks off after the status has come changes nothing any more. */
async function readStart(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (bytes < MAX_RESPONSE_BYTES) chunks.push(chunk);
      bytes += chunk.length;
      // Leaving the loop destroys the body, and with it the connection.
      if (bytes > MAX_DRAINED_BYTES) break;
    }
  } catch (error) {
    chunks.push(Buffer.from(` [the answer broke off: ${describe(error)}]`));
  }
  return Buffer.concat(chunks).subarray(0, MAX_RESPONSE_BYTES).toString('utf8');
}

function isHostFault(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isHostFault);
  return HOST_FAULTS.has((error as { code?: string }).code ?? '');
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  const { message, code } = error as { message: string; code?: string };
  return (message.includes(code ?? '') ? message : `${code}: ${message}`).slice(0, 500);
}
