import type { FuzzDice, Weighted } from './dice.js';
import { SECRET_MARK } from './fuzzed-server.js';
import type { World } from './messages.js';
import { VALID_FILTERS } from './protocol-model.js';

/** A request, and what may come of it. */
export interface OddRequest {
  kind: string;
  bytes: Buffer;
  /** The statuses that may answer it. */
  statuses: readonly number[];
  isHead: boolean;
  /** What follows on this connection is not answered any more, and the answers before it may be missing too. */
  isLast: boolean;
  /** The connection may close without an answer. */
  maySilentlyClose: boolean;
}

/** The path of the stream. */
export const STREAM = '/api/v1/events/stream';

interface Part {
  headers?: string[];
  query?: string[];
  /** What it leads to, if everything else is right. */
  status: number;
}

/** A secret that never was one. */
export const madeUp = (dice: FuzzDice): string => `${SECRET_MARK}-${dice.between(0, 1e9)}`;
const oddBytes = (dice: FuzzDice): string =>
  dice.oneOf(['\u0080\u00ff', '\u00c3\u0028', '"', "'", '\t', '\\', '<script>', '%', 'a\u00e9']);

function who(dice: FuzzDice, { credentials }: World): Part {
  const { tokens, apiKey, apiKeyWithoutScope, useless } = credentials;
  const token = dice.oneOf(tokens);
  const bad = dice.oneOf([...useless, madeUp(dice)]);
  return dice.weighted<Part>([
    [6, { headers: [`Authorization: Bearer ${token}`], status: 200 }],
    [3, { headers: [`X-API-Key: ${apiKey}`], status: 200 }],
    [3, { query: [`token=${token}`], status: 200 }],
    [1, { headers: [`authorization:bearer   ${token}`], status: 200 }],
    [1, { headers: [`X-API-Key: ${apiKeyWithoutScope}`], status: 403 }],
    [1, { headers: [`X-API-Key: ${apiKey}`, `X-API-Key: ${apiKey}`], status: 401 }],
    [1, { headers: [`X-API-Key: ${bad}${oddBytes(dice)}`], status: 401 }],
    [1, { headers: [`Authorization: Bearer ${bad}`], status: 401 }],
    [1, { headers: [`Authorization: Bearer ${bad}`, `X-API-Key: ${apiKey}`], status: 401 }],
    [
      1,
      {
        headers: [
          `Authorization: ${dice.oneOf(['', 'Bearer', 'Bearer ', 'Basic YTpi', `Bearer ${token} x`, token, `Digest ${oddBytes(dice)}`])}`,
        ],
        status: 401,
      },
    ],
    [1, { query: [`token=${bad}`], status: 401 }],
    [1, { query: [`token=${token}`, `token=${token}`], status: 401 }],
    [1, { query: [`token[]=${token}`], status: 401 }],
    [
      1,
      {
        query: [
          dice.oneOf([
            'token=',
            'token',
            'token=%00',
            'token=%ff%fe',
            'ticket=%',
            'ticket=',
            `ticket=${madeUp(dice)}`,
            `ticket=${madeUp(dice).repeat(100)}`,
          ]),
        ],
        status: 401,
      },
    ],
    [1, { status: 401 }],
  ]);
}

function filters(dice: FuzzDice): Part {
  const valid = dice.oneOf(VALID_FILTERS);
  return dice.weighted<Part>([
    [5, { status: 200 }],
    [4, { query: [`events=${valid}`], status: 200 }],
    [2, { query: [`events=${encodeURIComponent(valid)},%20logout%20,${valid}`], status: 200 }],
    [
      1,
      { query: [`events[]=${valid}`, `events[x]=1`, '__proto__=1', 'constructor=1', '&', '=', 'x=%zz'], status: 200 },
    ],
    [1, { query: [`events=${valid}`, `events=${valid}`], status: 422 }],
    [
      1,
      {
        query: [
          `events=${dice.oneOf(['', ',', '%', '%zz', '%00', '%ff', 'nope', `${valid},`, 'a'.repeat(5000), '*,'.repeat(1000), '%F0%9F%98%80', '[]', '{"a":1}', '__proto__', '../..'])}`,
        ],
        status: 422,
      },
    ],
  ]);
}

function cursor(dice: FuzzDice, { cursors }: World): Part {
  const known = cursors.at(-dice.between(1, Math.min(3, cursors.length))) ?? '';
  const odd = dice.oneOf([
    known.toUpperCase(),
    known.slice(4),
    'evt-',
    '0',
    '-1',
    `${known},${known}`,
    'x'.repeat(2000),
    "' OR 1=1 --",
    oddBytes(dice),
  ]);
  return dice.weighted<Part>([
    [12, { status: 200 }],
    [2, { headers: [`Last-Event-ID: ${known}`], status: 200 }],
    [1, { query: [`lastEventId=${known}`], status: 200 }],
    [1, { headers: ['Last-Event-ID:'], status: 200 }],
    [1, { query: ['lastEventId='], status: 200 }],
    [1, { headers: [`Last-Event-ID: ${known}`], query: ['lastEventId=nope'], status: 200 }],
    // A tab is white space around a value, so nothing is left of it.
    [1, { headers: [`Last-Event-ID: .${odd}`], status: 422 }],
    [1, { headers: [`Last-Event-ID: ${known}`, `Last-Event-ID: ${known}`], status: 422 }],
    [1, { query: [`lastEventId=${encodeURIComponent(odd)}`], status: 422 }],
    [1, { query: [`lastEventId=${known}`, `lastEventId=${known}`], status: 422 }],
    [
      1,
      { query: [`lastEventId=${dice.oneOf(['%', '%zz', '%00', '%ff', '+', 'a%0d%0aSet-Cookie:x=1'])}`], status: 422 },
    ],
  ]);
}

/** Headers and bodies that change nothing. */
export function decoration(dice: FuzzDice): { headers: string[]; body: string } {
  const headers: string[] = [];
  const body = dice.weighted<() => string>([
    [8, () => ''],
    [
      1,
      () => {
        const text = dice.oneOf(['hello', '{', '{"a":1}', 'x'.repeat(3000)]);
        headers.push(
          `Content-Length: ${text.length}`,
          `Content-Type: ${dice.oneOf(['application/json', 'text/plain', 'x'])}`,
        );
        return text;
      },
    ],
    [
      1,
      () => {
        headers.push('Transfer-Encoding: chunked');
        return '5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\n';
      },
    ],
  ])();
  for (let n = dice.oneOf([0, 0, 1, 2]); n > 0; n -= 1) {
    headers.push(
      ...dice.oneOf([
        ['Accept: text/event-stream'],
        ['Accept: text/html;q=0, */*', 'Accept-Encoding: gzip, br'],
        [`Accept: ${oddBytes(dice)}`],
        [`X-Request-Id: ${dice.oneOf(['a b', 'x'.repeat(300), '<b>', oddBytes(dice), 'good-1', ''])}`],
        ['X-Request-Id: a', 'X-Request-Id: b'],
        ['Range: bytes=0-1', 'If-None-Match: *', 'If-Modified-Since: yesterday'],
        ['Cookie: a=b; ;;=', 'Origin: null', 'Referer: ::'],
        ['X-Forwarded-For: 1.2.3.4, x, ', 'Forwarded: for="[::1]"', 'X-Forwarded-Proto: gopher'],
        ['Expect: 100-continue'],
        ['Expect: a-miracle'],
        ['Keep-Alive: timeout=99999999999', 'TE: trailers', 'Via: x'],
        Array.from({ length: dice.between(50, 1500) }, (_, at) => `X${at}: `),
        [`X-Long: ${'y'.repeat(dice.between(1000, 9000))}`],
        ['X-Folded: a\tb', `X-Odd: ${oddBytes(dice)}`, '__proto__: x', 'constructor: y'],
      ]),
    );
  }
  // More than 16 KiB of them are too many: that is another request.
  while (headers.join('\r\n').length > 11_000) headers.pop();
  return { headers, body };
}

/** Puts a request together; all of it is latin1. */
export function assemble(start: string, headers: readonly string[], body = ''): Buffer {
  return Buffer.from(`${[start, ...headers].join('\r\n')}\r\n\r\n${body}`, 'latin1');
}

/** What most requests are. */
export const plain = { isHead: false, isLast: false, maySilentlyClose: false };

/** A request for the stream that is valid HTTP, whatever else it is. */
export function streamRequest(dice: FuzzDice, world: World): OddRequest {
  const parts = [who(dice, world), filters(dice), cursor(dice, world)];
  const query = parts.flatMap((part) => part.query ?? []);
  // Before anybody is asked who it is: no URL may hold U+0000.
  const first = query.some((text) => text.includes('%00')) ? 400 : undefined;
  const status = first ?? parts.find((part) => part.status !== 200)?.status ?? 200;
  const { headers, body } = decoration(dice);
  const version = dice.weighted([
    [12, '1.1'],
    [1, '1.0'],
  ] satisfies Weighted<string>[]);
  const path = dice.weighted([
    [20, STREAM],
    [1, `http://localhost${STREAM}`],
    [1, STREAM.replace('s', '%73')],
  ] satisfies Weighted<string>[]);
  const method = dice.weighted([
    [20, 'GET'],
    [1, 'HEAD'],
  ] satisfies Weighted<string>[]);
  const host = version === '1.0' && dice.chance(0.5) ? [] : [dice.oneOf(['Host: localhost', 'Host:', 'host:a:b:c'])];
  const own = parts.flatMap((part) => part.headers ?? []);
  const isClosed = dice.chance(0.1);
  const bytes = assemble(
    `${method} ${path}${query.length > 0 || dice.chance(0.1) ? '?' : ''}${query.join('&')} HTTP/${version}`,
    [...host, ...own, ...headers, ...(isClosed ? ['Connection: close'] : [])],
    body,
  );
  const kind = `${method} ${status}${version === '1.0' ? ' of HTTP/1.0' : ''}`;
  return {
    ...plain,
    kind,
    bytes,
    statuses: [status],
    isHead: method === 'HEAD',
    isLast: isClosed || version === '1.0',
  };
}
