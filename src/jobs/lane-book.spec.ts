import { beforeEach, describe, expect, it } from 'vitest';
import { LaneBook } from './lane-book.js';

const options = { maxAttempts: 1, backoff: {}, timeoutMs: 1, priority: 0, maxCrashes: 1 };
const type = (name: string, concurrency: number, groupConcurrency = Number.POSITIVE_INFINITY) => ({
  name,
  options: { ...options, concurrency, groupConcurrency },
  handle: () => undefined,
});
const lane = (group: string, dueAt: number, priority = 0, of = 'work') => ({ type: of, group, priority, dueAt });
const NOW = 1000;

describe('LaneBook', () => {
  let book: LaneBook;
  const claims = (now = NOW) => book.claimable(now).map(({ lane: { group }, limit }) => `${group} ${limit}`);

  beforeEach(() => {
    book = new LaneBook();
    book.open(type('work', 4));
    book.open(type('grouped', 6, 2));
  });

  it('gives what is due, the highest priority first and then the one that waits longest', () => {
    book.note([lane('b', 20), lane('a', 10), lane('late', NOW + 1), lane('urgent', 30, 5)]);
    expect(claims()).toEqual(['urgent 4']);
    book.take(lane('urgent', 0));
    book.setDue(lane('urgent', 0, 5), undefined);
    expect(claims()).toEqual(['a 3']);
    // Its next job is younger than the other lane's: now that one comes first, busy or not.
    book.setDue(lane('a', 0), 25);
    expect(claims()).toEqual(['b 3']);
    expect(claims(NOW + 1)).toEqual(['b 3']);
  });

  it('keeps the limits of a type and of its groups', () => {
    const due = ['a', 'b', 'c', 'd'].map((group) => lane(group, 1, 0, 'grouped'));
    book.note(due);
    expect(claims()).toEqual(['a 2', 'b 2', 'c 2']);
    const slots = [1, 2].map(() => book.take(lane('a', 1, 0, 'grouped')));
    expect(claims()).toEqual(['b 2', 'c 2']);
    slots.forEach((slot) => slot.whenMyTurn(() => undefined));
    slots[0]?.free();
    expect(claims(NOW + 1_000_000)).toEqual(['a 1', 'b 2', 'c 2']);
  });

  it('starts no more than may run, and the next one when one ends', () => {
    const started: number[] = [];
    const slots = [0, 1, 2, 3, 4, 5].map((n) => {
      const slot = book.take(lane('', 1));
      slot.whenMyTurn(() => started.push(n));
      return slot;
    });
    expect(started).toEqual([0, 1, 2, 3]);
    // One that is given back before its turn never starts.
    slots[4]?.free();
    slots[1]?.free();
    expect(started).toEqual([0, 1, 2, 3, 5]);
  });

  it('claims ahead what the type finishes in 20 ms', () => {
    book.note([lane('', 1)]);
    expect(claims(NOW)).toEqual([' 4']);
    for (let n = 0; n < 50; n += 1) {
      const slot = book.take(lane('', 1));
      slot.whenMyTurn(() => undefined);
      slot.free();
    }
    // Fifty in ten milliseconds: a hundred in twenty.
    expect(claims(NOW + 10)).toEqual([' 104']);
    expect(claims(NOW + 20)).toEqual([' 4']);
  });

  it('knows when the next one with room is due, and forgets what a reload does not name', () => {
    book.note([lane('a', 10), lane('b', 20), lane('x', 1, 0, 'nobody works on it')]);
    expect(book.nextDueAt()).toBe(10);
    book.note([lane('b', 5), lane('b', 50)]);
    expect(book.nextDueAt()).toBe(5);
    book.reload([lane('c', 70)]);
    expect(book.nextDueAt()).toBe(70);
    for (let n = 0; n < 4; n += 1) book.take(lane('c', 70));
    expect(book.nextDueAt()).toBe(Number.POSITIVE_INFINITY);
  });
});
