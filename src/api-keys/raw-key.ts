import { randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const PREFIX = 'oapi_';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_LENGTH = 30;
const CHECKSUM_LENGTH = 6;
const FORMAT = new RegExp(`^${PREFIX}[0-9A-Za-z]{${RANDOM_LENGTH + CHECKSUM_LENGTH}}$`);

/** How much of a key its owner is shown again. */
export const SHOWN_LENGTH = PREFIX.length + 4;

/** Makes a key: `oapi_`, 30 random characters of base62 (178 bits) and a checksum of six, by which scanners tell a real one. */
export function newRawKey(): string {
  const random = Array.from({ length: RANDOM_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return `${PREFIX}${random}${checksum(random)}`;
}

/** Says whether a text can be a key at all; a mistyped one is told without asking the database. */
export function isRawKey(text: string): boolean {
  if (!FORMAT.test(text)) return false;
  const random = text.slice(PREFIX.length, -CHECKSUM_LENGTH);
  return text.endsWith(checksum(random));
}

/** CRC-32 in base62, the digits in the order of the alphabet. */
function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let n = 0; n < CHECKSUM_LENGTH; n += 1) {
    digits = `${ALPHABET[rest % ALPHABET.length]}${digits}`;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}
