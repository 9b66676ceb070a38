/** An answer of HTTP as it came over the wire. */
export interface HttpAnswer {
  status: number;
  /** By lower-case name. */
  headers: ReadonlyMap<string, string>;
  body: string;
}

/** What a reader finds, in order. */
export interface HttpListener {
  /** Says whether the answer that begins has no body, because it answers a HEAD. */
  isBodiless(status: number): boolean;
  onAnswer(answer: HttpAnswer): void;
  /** More of a stream has come: all of its text so far. */
  onStream(answer: HttpAnswer): void;
  onBreach(what: string): void;
}

const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d) [\x20-\x7e]*$/;
const HEADER = /^([!#$%&'*+.^_`|~\w-]+): ?([^\0\r\n]*)$/;

/** Reads answers out of the bytes of one connection, as strictly as RFC 9112 is. */
export class HttpReader {
  private rest = '';
  private current: HttpAnswer | undefined;
  private isChunked = false;
  /** Everything was said, or nothing can be understood any more. */
  private isDone = false;

  constructor(private readonly listener: HttpListener) {}

  /** Bytes that belong to an answer that never came to its end. */
  get leftover(): string {
    if (!this.current) return this.rest;
    return isStream(this.current) ? '' : `${this.current.status} ${this.current.body}`;
  }

  /** @param text - bytes as latin1. */
  read(text: string): void {
    this.rest += text;
    while (!this.isDone && (this.current ? this.readBody(this.current) : this.readHead()));
  }

  private readHead(): boolean {
    const end = this.rest.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const [first = '', ...lines] = this.rest.slice(0, end).split('\r\n');
    this.rest = this.rest.slice(end + 4);
    const status = STATUS_LINE.exec(first)?.[1];
    if (status === undefined) return this.breach(`a status line of ${first.slice(0, 200)}`);
    const headers = new Map<string, string>();
    for (const line of lines) {
      const [, name, value = ''] = HEADER.exec(line) ?? [];
      if (name === undefined) return this.breach(`a header of ${line.slice(0, 200)}`);
      headers.set(name.toLowerCase(), value);
    }
    // Something that comes before the answer (RFC 9110 §15.2).
    if (status.startsWith('1') && status !== '101') return true;
    this.current = { status: Number(status), headers, body: '' };
    this.isChunked = headers.get('transfer-encoding') === 'chunked';
    const isEmpty = this.listener.isBodiless(Number(status)) || status === '204' || status === '101';
    if (isEmpty || (!this.isChunked && headers.get('content-length') === '0')) return this.finish();
    if (!this.isChunked && !headers.has('content-length') && !isStream(this.current)) return this.breach('no length');
    return true;
  }

  /** Takes what there is of the body; returns whether there may be more to read. */
  private readBody(answer: HttpAnswer): boolean {
    if (this.isChunked) return this.readChunk(answer);
    const length = Number(answer.headers.get('content-length') ?? Infinity);
    if (this.rest.length === 0) return false;
    const taken = this.rest.slice(0, length - answer.body.length);
    answer.body += taken;
    this.rest = this.rest.slice(taken.length);
    if (answer.body.length === length) return this.finish();
    if (length === Infinity) {
      this.rest = '';
      this.listener.onStream(answer);
    }
    return false;
  }

  private readChunk(answer: HttpAnswer): boolean {
    const end = this.rest.indexOf('\r\n');
    if (end < 0) return this.rest.length > 10 ? this.breach(`a chunk of ${this.rest.slice(0, 200)}`) : false;
    const size = this.rest.slice(0, end);
    if (!/^[0-9a-f]{1,8}$/i.test(size)) return this.breach(`a chunk size of ${size.slice(0, 200)}`);
    const [start, length] = [end + 2, Number.parseInt(size, 16)];
    if (this.rest.length < start + length + 2) return false;
    if (this.rest.slice(start + length, start + length + 2) !== '\r\n') return this.breach('a chunk without its end');
    answer.body += this.rest.slice(start, start + length);
    this.rest = this.rest.slice(start + length + 2);
    if (length === 0) return this.finish();
    if (isStream(answer)) this.listener.onStream(answer);
    return true;
  }

  private finish(): boolean {
    const answer = this.current as HttpAnswer;
    this.current = undefined;
    if (answer.status === 101) this.isDone = true;
    this.listener.onAnswer(answer);
    return true;
  }

  private breach(what: string): boolean {
    this.isDone = true;
    this.listener.onBreach(what);
    return false;
  }
}

/** Says whether an answer is an event stream. */
export function isStream({ status, headers }: HttpAnswer): boolean {
  return status === 200 && headers.get('content-type') === 'text/event-stream';
}

const CODES: Record<number, string> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  413: 'PAYLOAD_TOO_LARGE',
  422: 'VALIDATION',
  429: 'RATE_LIMITED',
};

/** Says what is wrong with an answer that is no stream; undefined if nothing is. */
export function wrongWithError({ status, headers, body }: HttpAnswer, isBodiless: boolean): string | undefined {
  if (status === 204) return body === '' ? undefined : 'a body where there is none';
  const code = CODES[status];
  if (code === undefined) return `a status of ${status}`;
  if (headers.get('content-type') !== 'application/json; charset=utf-8') return 'no JSON';
  if (status === 429 && !/^\d+$/.test(headers.get('retry-after') ?? '')) return 'no Retry-After';
  if (isBodiless) return undefined;
  let value: { error: { code: string; message: string; details?: { message: string }[] }; requestId: string };
  try {
    value = JSON.parse(Buffer.from(body, 'latin1').toString()) as typeof value;
  } catch {
    return 'a body that is no JSON';
  }
  const { error, requestId } = value;
  if (Object.keys(value).join() !== 'error,requestId') return 'other fields than the contract’s';
  if (error.code !== code) return `the code ${error.code}`;
  if (!/^(code,message|code,message,details)$/.test(Object.keys(error).join())) return 'other fields in the error';
  if (typeof error.message !== 'string' || error.message === '') return 'no message';
  if (error.details?.some(({ message }) => typeof message !== 'string' || message === '')) return 'a bad detail';
  if (typeof requestId !== 'string' || requestId === '') return 'no requestId';
  const named = headers.get('x-request-id');
  return named === undefined || named === requestId ? undefined : 'another X-Request-Id than the body’s';
}

const BLOCK =
  /^(:heartbeat|event: stream\.(end|gap|expiring)\ndata: \{.*\}|event: [a-z_.]+\nid: evt-[0-9a-f-]{36}\ndata: \{.*\})$/;

/** Says what is wrong with a stream so far; undefined if nothing is. */
export function wrongWithStream({ headers, body }: HttpAnswer): string | undefined {
  if (headers.get('cache-control') !== 'no-cache') return `Cache-Control ${headers.get('cache-control')}`;
  if (headers.get('x-accel-buffering') !== 'no') return `X-Accel-Buffering ${headers.get('x-accel-buffering')}`;
  if (body === '') return undefined;
  const [first = '', ...blocks] = body.split('\n\n');
  const opening = first.trimStart();
  if (!/^retry: [1-9]\d*$/.test(opening) && blocks.length > 0) return `a first block of ${opening.slice(0, 200)}`;
  const wrong = blocks.slice(0, -1).find((block) => !BLOCK.test(block.trimStart()));
  return wrong === undefined ? undefined : `a block of ${wrong.slice(0, 300)}`;
}
