import { v7 as uuidv7 } from 'uuid';

/** Makes an id that is higher than those made before (UUIDv7, RFC 9562 §5.7): the order of creation, and so a cursor. */
export function timeOrderedId(): string {
  return uuidv7();
}

/** Returns the lowest UUIDv7 of a time (RFC 9562 §5.7): what was made before then has a lower one. */
export function lowestIdAt(epochMs: number): string {
  return uuidv7({ msecs: epochMs, random: new Uint8Array(16), seq: 0 });
}
