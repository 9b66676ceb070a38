import type { FuzzDice } from './dice.js';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** What a frame is, where it is not as a decent client makes it (RFC 6455 §5.2). */
interface FrameOptions {
  fin?: boolean;
  /** The three reserved bits, 0 to 7. */
  reserved?: number;
  masked?: boolean;
  /** How the length is written, in bits. @default the shortest form */
  lengthBits?: 7 | 16 | 64;
  /** The length that the head names. @default the payload's */
  length?: bigint;
}

/** Makes a client's frame. */
export function frame(dice: FuzzDice, opcode: number, payload: Buffer, options: FrameOptions = {}): Buffer {
  const { fin = true, reserved = 0, masked = true, length = BigInt(payload.length) } = options;
  const shortest = length < 126n ? 7 : length < 65_536n ? 16 : 64;
  const { lengthBits = shortest } = options;
  const headLength = { 7: 2, 16: 4, 64: 10 }[lengthBits];
  const bytes = Buffer.allocUnsafe(headLength + (masked ? 4 : 0) + payload.length);
  bytes[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const maskBit = masked ? 0x80 : 0;
  if (lengthBits === 7) bytes[1] = maskBit | Number(length);
  else if (lengthBits === 16) {
    bytes[1] = maskBit | 126;
    bytes.writeUInt16BE(Number(length), 2);
  } else {
    bytes[1] = maskBit | 127;
    bytes.writeBigUInt64BE(length, 2);
  }
  if (!masked) {
    payload.copy(bytes, headLength);
    return bytes;
  }
  const mask = dice.chance(0.2) ? 0 : dice.between(0, 2 ** 32 - 1);
  bytes.writeUInt32BE(mask, headLength);
  const at = headLength + 4;
  for (let n = 0; n < payload.length; n += 1) {
    bytes[at + n] = (payload[n] as number) ^ ((mask >>> (24 - (n & 3) * 8)) & 0xff);
  }
  return bytes;
}

/** Makes one message of several frames, perhaps with pings between them; returns the pings' payloads too. */
export function fragmented(
  dice: FuzzDice,
  opcode: number,
  payload: Buffer,
  pieces: number,
): { bytes: Buffer; pings: Buffer[] } {
  const parts = dice.cut(payload, pieces);
  // An empty fragment is a fragment (RFC 6455 §5.4).
  if (dice.chance(0.3) || parts.length === 0) parts.push(Buffer.alloc(0));
  const pings: Buffer[] = [];
  const frames = parts.flatMap((part, at) => {
    const isLast = at === parts.length - 1;
    const piece = frame(dice, at === 0 ? opcode : OPCODE.continuation, part, { fin: isLast });
    if (isLast || !dice.chance(0.15)) return [piece];
    const ping = dice.bytes(dice.between(0, 10));
    pings.push(ping);
    return [piece, frame(dice, OPCODE.ping, ping)];
  });
  return { bytes: Buffer.concat(frames), pings };
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: Buffer | string = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason)]);
}

/** Bytes that break the protocol, and the codes that may follow. */
interface Violation {
  bytes: Buffer;
  codes: readonly number[];
  /** Pings on the way there. */
  pings?: Buffer[];
}

const BAD_UTF8 = ['c328', 'ff', 'eda080', 'c080', 'f8888080', 'e282', 'f4908080', '80'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
const BAD_CLOSE_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];

/** The largest message that the server takes, in bytes. */
export const MAX_MESSAGE_BYTES = 16_384;
/** The most frames that the server puts together to one message. */
export const MAX_FRAGMENTS = 64;

const ping = Buffer.from('{"type":"ping"}');

/** Everything that a client may not do on this level; each ends the connection. */
export const violations: Record<string, (dice: FuzzDice) => Violation> = {
  unmasked: (dice) => ({ bytes: frame(dice, OPCODE.text, ping, { masked: false }), codes: [1002] }),
  'reserved bits': (dice) => ({
    bytes: frame(dice, OPCODE.text, ping, { reserved: dice.between(1, 7) }),
    codes: [1002],
  }),
  'reserved opcode': (dice) => ({
    bytes: frame(dice, dice.oneOf([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), dice.bytes(dice.between(0, 20))),
    codes: [1002],
  }),
  'stray continuation': (dice) => ({
    bytes: frame(dice, OPCODE.continuation, ping, { fin: dice.chance(0.5) }),
    codes: [1002],
  }),
  'message in a message': (dice) => ({
    bytes: Buffer.concat([
      frame(dice, OPCODE.text, ping.subarray(0, 5), { fin: false }),
      frame(dice, dice.oneOf([OPCODE.text, OPCODE.binary]), ping),
    ]),
    codes: [1002],
  }),
  'fragmented control frame': (dice) => ({
    bytes: frame(dice, dice.oneOf([OPCODE.ping, OPCODE.pong, OPCODE.close]), Buffer.alloc(0), { fin: false }),
    codes: [1002],
  }),
  'long control frame': (dice) => ({
    bytes: frame(dice, dice.oneOf([OPCODE.ping, OPCODE.pong, OPCODE.close]), dice.bytes(dice.between(126, 300))),
    codes: [1002],
  }),
  'bad UTF-8 in a message': (dice) => {
    const bad = dice.oneOf(BAD_UTF8);
    const text = Buffer.concat([Buffer.from('{"type":"'), bad, Buffer.from('"}')]);
    if (dice.chance(0.5)) return { bytes: frame(dice, OPCODE.text, text), codes: [1007] };
    return { ...fragmented(dice, OPCODE.text, text, dice.between(2, 5)), codes: [1007] };
  },
  'bad UTF-8 in a close reason': (dice) => ({
    bytes: frame(dice, OPCODE.close, closePayload(1000, dice.oneOf(BAD_UTF8))),
    codes: [1007],
  }),
  'odd close code': (dice) => ({
    bytes: frame(dice, OPCODE.close, closePayload(dice.oneOf(BAD_CLOSE_CODES))),
    codes: [1002],
  }),
  'half a close code': (dice) => ({ bytes: frame(dice, OPCODE.close, dice.bytes(1)), codes: [1002] }),
  'one byte too many': (dice) => ({
    bytes: frame(dice, OPCODE.text, Buffer.alloc(MAX_MESSAGE_BYTES + 1, ' ')),
    codes: [1009],
  }),
  'too large in fragments': (dice) => ({
    ...fragmented(dice, OPCODE.text, Buffer.alloc(MAX_MESSAGE_BYTES + dice.between(1, 5000), ' '), 8),
    codes: [1009],
  }),
  'a large length alone': (dice) => ({
    bytes: frame(dice, OPCODE.text, Buffer.alloc(0), {
      length: dice.oneOf([BigInt(MAX_MESSAGE_BYTES + 1), 65_536n, 2n ** 31n, 2n ** 32n, 2n ** 52n]),
      lengthBits: 64,
    }),
    codes: [1009],
  }),
  'a length with the high bit': (dice) => ({
    bytes: frame(dice, dice.oneOf([OPCODE.text, OPCODE.binary]), Buffer.alloc(0), {
      length: dice.oneOf([2n ** 63n, 2n ** 64n - 1n, 2n ** 53n]),
    }),
    codes: [1002, 1009],
  }),
  'a control frame with a long length': (dice) => ({
    bytes: frame(dice, OPCODE.ping, Buffer.alloc(3), { lengthBits: dice.oneOf([16, 64]) }),
    codes: [1002],
  }),
  'too many fragments': (dice) => ({
    bytes: Buffer.concat([
      frame(dice, OPCODE.text, Buffer.from('{'), { fin: false }),
      ...Array.from({ length: MAX_FRAGMENTS + dice.between(0, 40) }, () =>
        frame(dice, OPCODE.continuation, dice.chance(0.5) ? Buffer.alloc(0) : Buffer.from(' '), { fin: false }),
      ),
    ]),
    codes: [1008],
  }),
};
