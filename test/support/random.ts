/** A source of repeatable randomness (mulberry32): the same seed gives the same numbers, each in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What tests ask of repeatable randomness. */
export interface Dice {
  /** Returns a whole number, from 0 to below the limit. */
  below: (limit: number) => number;
  /** Returns true as often as the share says, which is from 0 to 1. */
  chance: (share: number) => boolean;
  oneOf: <T>(items: readonly T[]) => T;
}

/** Makes dice: the same seed gives the same throws. */
export function seededDice(seed: number): Dice {
  const next = seededRandom(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    below,
    chance: (share) => next() < share,
    oneOf: <T>(items: readonly T[]) => items[below(items.length)] as T,
  };
}
