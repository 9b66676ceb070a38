import { Dice } from '../support/random.js';

/** Something to choose, with how often it is chosen against the others. */
export type Weighted<T> = readonly [weight: number, choice: T];

/** Dice that make things up: odd texts, bytes, pieces. */
export class FuzzDice extends Dice {
  /** @param part - which of the many independent series of the seed this is. */
  constructor(seed: number, part: number) {
    super(Math.imul(seed ^ Math.imul(part + 1, 0x9e3779b1), 0x85ebca6b));
  }

  weighted<T>(choices: readonly Weighted<T>[]): T {
    let left = this.upTo(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, choice] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    return (choices.at(-1) as Weighted<T>)[1];
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.between(0, 255)));
  }

  /** Text that is odd in one way or another. */
  text(maxLength: number): string {
    const length = this.between(0, maxLength);
    const alphabet = this.oneOf([
      'abc',
      'aé漢😀',
      '\u0000\u0001\u001f\u007f',
      ' \t\r\n',
      '"\\/<>&\'',
      '\u202e\u2028\ufeff',
    ]);
    const letters = Array.from(alphabet);
    let text = '';
    while (text.length < length) text += this.oneOf(letters);
    return text.slice(0, length);
  }

  /** Cuts bytes into pieces at random places; none of them is empty. */
  cut(bytes: Buffer, pieces: number): Buffer[] {
    const places = Array.from({ length: pieces - 1 }, () => this.between(1, Math.max(1, bytes.length - 1)));
    const sorted = [0, ...new Set(places), bytes.length].toSorted((a, b) => a - b);
    return sorted.slice(1).flatMap((end, at) => {
      const piece = bytes.subarray(sorted[at], end);
      return piece.length > 0 ? [piece] : [];
    });
  }
}
