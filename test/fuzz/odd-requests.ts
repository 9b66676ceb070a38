import type { FuzzDice } from './dice.js';
import type { World } from './messages.js';
import { handshake } from './raw-web-socket.js';
import { assemble, decoration, madeUp, plain, STREAM, streamRequest, type OddRequest } from './stream-requests.js';

type MakeRequest = (dice: FuzzDice, world: World) => Partial<OddRequest> & Pick<OddRequest, 'bytes' | 'statuses'>;

const bearer = ({ credentials }: World): string => `Authorization: Bearer ${credentials.tokens[0]}`;

const odd: Record<string, MakeRequest> = {
  'another method': (dice) => {
    const method = dice.oneOf([
      'POST',
      'PUT',
      'DELETE',
      'PATCH',
      'TRACE',
      'PURGE',
      'M-SEARCH',
      'PROPFIND',
      'REPORT',
      'LINK',
    ]);
    const { headers, body } = decoration(dice);
    return { bytes: assemble(`${method} ${STREAM} HTTP/1.1`, ['Host: x', ...headers], body), statuses: [400, 404] };
  },
  options: (dice) => ({
    bytes: assemble(`OPTIONS ${dice.oneOf([STREAM, '*'])} HTTP/1.1`, [
      'Host: x',
      ...dice.oneOf([[], ['Origin: http://a', 'Access-Control-Request-Method: GET']]),
    ]),
    statuses: [204, 404],
  }),
  'no method at all': (dice) => ({
    bytes: assemble(`${dice.oneOf(['FOO', 'get', 'GETT', 'PRI', ''])} ${STREAM} HTTP/1.1`, ['Host: x']),
    statuses: [400],
    isLast: true,
  }),
  'no target at all': (dice) => ({
    bytes: assemble(
      `GET ${dice.oneOf(['/\u00e9', '/a b', '/\u0000', '/\t', '', 'api/v1/events/stream', '[::1]'])} HTTP/1.1`,
      ['Host: x'],
    ),
    statuses: [400],
    isLast: true,
  }),
  connect: () => ({
    bytes: assemble('CONNECT localhost:1 HTTP/1.1', ['Host: x']),
    statuses: [400, 404],
    isLast: true,
    maySilentlyClose: true,
  }),
  'another path': (dice, world) => ({
    bytes: assemble(
      `GET ${dice.oneOf([
        `${STREAM}/`,
        `${STREAM}//`,
        `/${STREAM}`,
        `/API/V1/events/stream`,
        `${STREAM};x=1`,
        `${STREAM}#a`,
        `/api/v1/events/../events/stream`,
        `/api/v1/events/%2e%2e/stream`,
        `/api/v1/events/${'a'.repeat(dice.between(90, 8000))}`,
        '/api/v1/events/%zz',
        '/api/v1/events/%00',
        '/api/v1/events/evt-0/trace',
        '/api/v1/events/__proto__',
        `/api/v1/events/stream%3Fevents=x`,
        'http://[/',
        'http://x',
        `ws://x${STREAM}`,
        '*',
        '/',
        '//',
        '/%',
      ])} HTTP/1.1`,
      ['Host: x', ...(dice.chance(0.5) ? [bearer(world)] : [])],
    ),
    statuses: [200, 400, 401, 404, 422],
  }),
  'another version': (dice) => ({
    bytes: assemble(
      `GET ${STREAM}${dice.oneOf(['', ' HTTP/2.0', ' HTTP/0.9', ' HTTP/1.2', ' HTTP/11', ' HTTP/1', ' FTP/1.1', ' HTTP/1.1 x'])}`,
      [],
    ),
    statuses: [400, 401],
    isLast: true,
  }),
  'no Host': () => ({ bytes: assemble(`GET ${STREAM} HTTP/1.1`, []), statuses: [400], isLast: true }),
  'bad head': (dice) => ({
    bytes: assemble(`GET ${STREAM} HTTP/1.1`, [
      'Host: x',
      dice.oneOf([
        'no colon',
        ': no name',
        'a b: c',
        'X: a\u0000b',
        'X\u00e9: a',
        'Content-Length: -1',
        'Content-Length: 1e3',
        'Content-Length: 99999999999999999999',
        'Content-Length: 1\r\nContent-Length: 2',
        'Content-Length: 5\r\nTransfer-Encoding: chunked',
        'X: a\rb',
      ]),
    ]),
    statuses: [400],
    isLast: true,
  }),
  'huge head': (dice) => ({
    bytes: assemble(`GET ${STREAM}${dice.oneOf(['', `?token=${madeUp(dice).repeat(2000)}`])} HTTP/1.1`, [
      'Host: x',
      `X: ${'z'.repeat(dice.oneOf([17_000, 70_000]))}`,
    ]),
    statuses: [400],
    isLast: true,
  }),
  'bad chunks': (dice, world) => ({
    bytes: assemble(
      `${dice.oneOf(['GET', 'POST'])} ${STREAM} HTTP/1.1`,
      ['Host: x', 'Transfer-Encoding: chunked', ...(dice.chance(0.5) ? [bearer(world)] : [])],
      dice.oneOf(['zz\r\nhello\r\n', '5\r\nhelloooo', '-1\r\n', 'fffffffffffffffff\r\n']),
    ),
    // The request is answered before its body is read, and what has begun to be answered can only be cut off.
    statuses: [200, 400, 401, 404],
    isLast: true,
    maySilentlyClose: true,
  }),
  'garbage behind a request': (dice, world) => ({
    bytes: Buffer.concat([
      assemble(`GET ${STREAM} HTTP/1.1`, ['Host: x', ...(dice.chance(0.5) ? [bearer(world)] : [])]),
      dice.bytes(dice.between(20, 200)),
    ]),
    statuses: [200, 400, 401],
    isLast: true,
    maySilentlyClose: true,
  }),
  'garbage instead of a request': (dice) => ({
    bytes: dice.oneOf([
      () => Buffer.concat([Buffer.from([dice.oneOf([0, 1, 0x16, 0x80, 0xff])]), dice.bytes(dice.between(1, 200))]),
      () => Buffer.from('hello there\r\n\r\n'),
      () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      () => Buffer.from('160301020001000100fc0303', 'hex'),
      () => Buffer.from([0x81, 0x80, 0, 0, 0, 0]),
    ])(),
    statuses: [400],
    isLast: true,
  }),
  'an upgrade of the stream': (dice, world) => ({
    bytes: assemble(`GET ${STREAM} HTTP/1.1`, [
      'Host: x',
      'Connection: Upgrade',
      `Upgrade: ${dice.oneOf(['websocket', 'h2c', 'x', 'TLS/1.0, HTTP/1.1'])}`,
      ...(dice.chance(0.5) ? [bearer(world)] : []),
    ]),
    statuses: [200, 401, 404],
    isLast: true,
  }),
  '/ws without an upgrade': (dice) => ({
    bytes: assemble(
      `${dice.oneOf(['GET', 'POST', 'PUT'])} /ws${dice.oneOf(['', '?ticket=x', '/', '?token=y'])} HTTP/1.1`,
      ['Host: x'],
    ),
    statuses: [404],
  }),
  'an odd handshake': (dice) => {
    const decent = handshake(dice.oneOf(['/ws', '/ws?token=x', `/ws?ticket=${madeUp(dice)}`]));
    const [from, to] = dice.oneOf([
      ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Version: 99'],
      ['Sec-WebSocket-Version: 13\r\n', ''],
      ['dGhlIHNhbXBsZSBub25jZQ==', 'short'],
      [/Sec-WebSocket-Key: .*\r\n/, ''],
      ['GET', 'POST'],
      ['Upgrade: websocket', 'Upgrade: websocked'],
      ['\r\n\r\n', '\r\nSec-WebSocket-Protocol: ,,\r\n\r\n'],
      [/\/ws\S*/, '/nowhere'],
      [/\/ws/, '/ws/x'],
      [/\/ws/, 'http://x/ws'],
    ] as [string | RegExp, string][]);
    return { bytes: Buffer.from(decent.replace(from, to)), statuses: [400, 404], isLast: true };
  },
  'half a request': (dice) => {
    const whole = dice.oneOf([handshake(), `GET ${STREAM} HTTP/1.1\r\nHost: x\r\n\r\n`]);
    return {
      bytes: Buffer.from(whole.slice(0, dice.between(1, whole.length - 3))),
      statuses: [400],
      isLast: true,
      maySilentlyClose: true,
    };
  },
};

/** Makes a request of any sort. */
export function anyRequest(dice: FuzzDice, world: World): OddRequest {
  return dice.chance(0.6) ? streamRequest(dice, world) : oddRequest(dice, world);
}

/** Makes a request that is no decent one for the stream. */
function oddRequest(dice: FuzzDice, world: World): OddRequest {
  const kind = dice.oneOf(Object.keys(odd));
  return { ...plain, kind, ...(odd[kind] as MakeRequest)(dice, world) };
}
