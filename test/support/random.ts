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

/** What tests ask of repeatable randomness: the same seed gives the same throws. */
export class Dice {
  private readonly random: () => number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** A number from 0 to below the limit, not a whole one. */
  upTo(limit: number): number {
    return this.random() * limit;
  }

  /** A whole number, from 0 to below the limit. */
  below(limit: number): number {
    return Math.floor(this.upTo(limit));
  }

  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  /** True as often as the share says, which is from 0 to 1. */
  chance(share: number): boolean {
    return this.random() < share;
  }

  oneOf<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}
