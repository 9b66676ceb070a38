import type { FuzzDice, Weighted } from './dice.js';
import { MAX_MESSAGE_BYTES } from './frames.js';
import { SECRET_MARK, type Credentials } from './fuzzed-server.js';
import { VALID_FILTERS, type TextMessage } from './protocol-model.js';

/** What messages are made from. */
export interface World {
  credentials: Credentials;
  /** Ids of events that happened, the newest last. */
  cursors: readonly string[];
}

type Make = (dice: FuzzDice, world: World) => object;

const INVALID_FILTERS = [
  'login',
  'login.exploded',
  'login.',
  '.*',
  '*.*',
  '**',
  '',
  ' *',
  'LOGIN.*',
  'logout.*',
  '__proto__',
  'constructor',
  'l.*',
  '\u0000',
  '😀',
  'x'.repeat(200),
];
const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  '',
  ' ',
  [],
  {},
  [[]],
  [null],
  'null',
  { toString: 'x' },
  { length: 1 },
  '__proto__',
  'constructor',
  '\ud800',
  '\u0000',
];

function requestId(dice: FuzzDice): object {
  return dice.weighted<() => object>([
    [5, () => ({})],
    [3, () => ({ requestId: `r-${dice.between(0, 1e9)}` })],
    [1, () => ({ requestId: dice.text(40) })],
    [0.3, () => ({ requestId: 'x'.repeat(dice.between(126, 130)) })],
    [0.3, () => ({ requestId: dice.oneOf(['😀'.repeat(64), '😀'.repeat(65), '\udfff', '']) })],
    [0.3, () => ({ requestId: dice.oneOf(ODD_VALUES) })],
  ])();
}

/** A secret that never was one. */
function madeUp(dice: FuzzDice): string {
  const secret = `${SECRET_MARK}-${dice.between(0, 1e9)}`;
  return dice.oneOf([secret, `oapi_${secret}`, `${secret}.${secret}.${secret}`, secret.repeat(200), `\u0000${secret}`]);
}

function validAuth(dice: FuzzDice, { credentials }: World): object {
  return dice.chance(0.6) ? { token: dice.oneOf(credentials.tokens) } : { apiKey: credentials.apiKey };
}

function refusedAuth(dice: FuzzDice, { credentials }: World): object {
  const { useless, apiKeyWithoutScope, stranger, tokens, apiKey } = credentials;
  return dice.oneOf<() => object>([
    () => ({ token: dice.oneOf(useless) }),
    () => ({ apiKey: dice.oneOf([...useless, ...tokens]) }),
    () => ({ ticket: dice.oneOf([...useless, apiKey, madeUp(dice)]) }),
    () => ({ apiKey: apiKeyWithoutScope }),
    () => ({ token: stranger.token }),
    () => ({ token: madeUp(dice) }),
    () => ({ apiKey: madeUp(dice) }),
  ])();
}

function filters(dice: FuzzDice): unknown[] {
  const list: unknown[] = Array.from({ length: dice.between(1, 4) }, () => dice.oneOf(VALID_FILTERS));
  if (dice.chance(0.1)) list.push(dice.oneOf(INVALID_FILTERS));
  if (dice.chance(0.03)) list.push(dice.oneOf(ODD_VALUES));
  return list;
}

function cursor(dice: FuzzDice, { cursors }: World): unknown {
  const known = cursors.at(-dice.between(1, Math.min(5, cursors.length))) ?? '';
  return dice.weighted<unknown>([
    [8, known],
    [1, known.replace('evt-', '')],
    [1, known.toUpperCase()],
    [1, `${known} `],
    [1, 'evt-00000000-0000-7000-8000-000000000000'],
    [1, `evt-${'f'.repeat(8)}-ffff-7fff-bfff-ffffffffffff`],
    [1, dice.text(30)],
    [1, dice.oneOf(ODD_VALUES)],
  ]);
}

const wellFormed: readonly Weighted<[kind: string, make: Make]>[] = [
  [20, ['ping', (dice) => ({ type: 'ping', ...requestId(dice) })]],
  [3, ['auth', (dice, world) => ({ type: 'auth', ...validAuth(dice, world), ...requestId(dice) })]],
  [4, ['refused auth', (dice, world) => ({ type: 'auth', ...refusedAuth(dice, world), ...requestId(dice) })]],
  [12, ['subscribe', (dice) => ({ type: 'subscribe', events: filters(dice), ...requestId(dice) })]],
  [
    2,
    [
      'subscribe from a cursor',
      (dice, world) => ({
        type: 'subscribe',
        events: filters(dice),
        lastEventId: cursor(dice, world),
        ...requestId(dice),
      }),
    ],
  ],
  [10, ['unsubscribe', (dice) => ({ type: 'unsubscribe', events: filters(dice), ...requestId(dice) })]],
  [
    4,
    [
      'unknown type',
      (dice) => ({
        type: dice.oneOf([...ODD_VALUES, 'dance', '*', 'PING', 'ping ', 'event', 'error', 'pong', dice.text(50)]),
        ...requestId(dice),
      }),
    ],
  ],
];

/** Makes a message that is right, or of a type nobody knows. */
function decent(dice: FuzzDice, world: World): [kind: string, message: object] {
  const [kind, make] = dice.weighted(wellFormed);
  return [kind, make(dice, world)];
}

/** Makes one thing wrong, or odd, about a message. */
function mutate(dice: FuzzDice, message: Record<string, unknown>): [kind: string, text: string] {
  const field = dice.oneOf(Object.keys(message));
  const json = (changed: object) => JSON.stringify(changed);
  return dice.oneOf<() => [string, string]>([
    () => {
      const { [field]: _, ...others } = message;
      return ['missing field', json(others)];
    },
    () => ['odd value', json({ ...message, [field]: dice.oneOf(ODD_VALUES) })],
    () => ['secret of the wrong shape', json({ ...message, token: dice.oneOf([[madeUp(dice)], { a: madeUp(dice) }]) })],
    () => ['two secrets', json({ type: 'auth', token: madeUp(dice), apiKey: madeUp(dice) })],
    () => ['extra field', json({ ...message, [dice.text(10) || 'x']: dice.oneOf(ODD_VALUES) })],
    () => ['prototype', `{"__proto__":{"type":"ping","requestId":"x"},"constructor":{},${json(message).slice(1)}`],
    () => ['number beyond double', `{"n":1e999,"m":-${'9'.repeat(400)},${json(message).slice(1)}`],
    () => ['number for a requestId', json({ ...message, requestId: '#' }).replace('"#"', '1e999')],
    () => ['escaped surrogate', json({ ...message, requestId: '#' }).replace('#', '\\ud83d')],
    () => ['escaped key', json(message).replace('"type"', '"\\u0074ype"')],
    () => ['blanks', ` \t\r\n${json(message).replaceAll('":', '" \n\t:')}\r\n `],
    () => ['very long text', json({ ...message, note: 'y'.repeat(dice.between(1000, 10_000)) })],
  ])();
}

const repeatKey = (message: object): string => {
  const text = JSON.stringify(message);
  return `${text.slice(0, -1)},"type":"ping"}`;
};

/** Nests as deep as there is room for. */
function deep(dice: FuzzDice): string {
  const [open, close] = dice.oneOf([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  const most = Math.floor((MAX_MESSAGE_BYTES - 40) / (open.length + close.length));
  const depth = dice.oneOf([most, Math.floor(most / 2), 100]);
  const nest = `${open.repeat(depth)}${open === '[' ? '' : '1'}${close.repeat(depth)}`;
  return dice.oneOf([
    nest,
    `{"type":"ping","deep":${nest}}`,
    `{"type":"subscribe","events":${nest}}`,
    open.repeat(most),
  ]);
}

const fill = (text: string): string => text.replace('#', 'z'.repeat(MAX_MESSAGE_BYTES - Buffer.byteLength(text) + 1));

const hostile: readonly Weighted<[kind: string, make: (dice: FuzzDice) => string]>[] = [
  [1, ['deep nesting', deep]],
  [
    1,
    [
      'huge array',
      (dice) => {
        const item = dice.oneOf(['"*"', '1', '[]', '"login.*"', 'null']);
        const most = Math.floor((MAX_MESSAGE_BYTES - 40) / (item.length + 1));
        const items = Array.from({ length: dice.oneOf([most, 1000, 1001, 65]) }, () => item).slice(0, most);
        return `{"type":"${dice.oneOf(['subscribe', 'unsubscribe', 'ping'])}","events":[${items.join(',')}]}`;
      },
    ],
  ],
  [0.5, ['as large as can be', (dice) => fill(dice.oneOf(['{"type":"ping","x":"#"}', '{"type":"#"}', '"#"', '#']))]],
  [0.5, ['many keys', () => `{${Array.from({ length: 1200 }, (_, n) => `"k${n}":${n}`).join(',')},"type":"ping"}`]],
  [
    4,
    [
      'not JSON',
      (dice) =>
        dice.oneOf([
          '',
          ' ',
          '\n',
          '{',
          '}',
          'ping',
          '{type:"ping"}',
          "{'type':'ping'}",
          'NaN',
          '{"type":"ping",}',
          '{"type":"ping"}{"type":"ping"}',
          '\ufeff{"type":"ping"}',
          '{"type":"ping"}\u0000',
          '//',
          '01',
          '"\n"',
        ]),
    ],
  ],
  [
    2,
    [
      'JSON but no object',
      (dice) => dice.oneOf(['null', '[]', '[{"type":"ping"}]', '"ping"', '0', 'true', '-0', '1e999', '{}']),
    ],
  ],
  [1, ['odd text', (dice) => dice.text(200)]],
];

/** Makes a message of any sort. */
export function anyMessage(dice: FuzzDice, world: World): TextMessage {
  const dig = dice.between(0, 99);
  if (dig < 70) {
    const [kind, message] = decent(dice, world);
    return { kind, text: JSON.stringify(message) };
  }
  if (dig < 90) {
    const message = decent(dice, world)[1] as Record<string, unknown>;
    if (dice.chance(0.1)) return { kind: 'repeated key', text: repeatKey(message), hasRepeatedKey: true };
    if (dice.chance(0.2)) {
      const text = JSON.stringify(message);
      return { kind: 'cut off', text: text.slice(0, dice.between(0, text.length - 1)) };
    }
    const [kind, text] = mutate(dice, message);
    return { kind, text };
  }
  const [kind, make] = dice.weighted(hostile);
  return { kind, text: make(dice) };
}

/** Makes a message that authenticates. */
export function authMessage(dice: FuzzDice, world: World): TextMessage {
  return { kind: 'auth', text: JSON.stringify({ type: 'auth', ...validAuth(dice, world) }) };
}
