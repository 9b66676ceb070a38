import { describe, expect, it } from 'vitest';
import type { Page } from './api-types.js';
import { withFirstPage, withNextPage, type Shown } from './shown.js';

const PAGE = 3;

interface Row {
  /** In no order. */
  id: string;
  at: number;
  state?: string;
}

/** Reads a page of the rows, as the API does: the newest first. */
function read(rows: readonly Row[], after = Infinity): Page<Row> {
  const older = rows.toReversed().filter(({ at }) => at < after);
  const items = older.slice(0, PAGE);
  const hasMore = older.length > PAGE;
  return { items, hasMore, nextCursor: hasMore ? String(items.at(-1)?.at) : null };
}

const rowsTo = (last: number): Row[] =>
  Array.from({ length: last }, (_, n) => ({ id: `row-${(n * 37) % 101}`, at: n + 1 }));
const timesOf = ({ items }: Shown<Row>): number[] => items.map(({ at }) => at);

/** The first two pages of ten rows: 10 to 5. */
function twoPages(): Shown<Row> {
  const rows = rowsTo(10);
  const first = read(rows);
  return withNextPage(first, first.nextCursor ?? '', read(rows, Number(first.nextCursor)));
}

describe('what is shown of a list', () => {
  it('loses no row when new ones push others off the first page', () => {
    let shown = twoPages();
    for (let last = 11; last <= 20; last += 1) shown = withFirstPage(shown, read(rowsTo(last)));
    expect(timesOf(shown)).toEqual([20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5]);
    expect(shown.nextCursor).toBe('5');
  });

  it('starts over where the first page does not reach it', () => {
    const over = withFirstPage(twoPages(), read(rowsTo(14)));
    expect([timesOf(over), over.nextCursor]).toEqual([[14, 13, 12], '12']);
  });

  it('takes the newest state of a row, and drops what is gone', () => {
    const rows = rowsTo(10).filter(({ at }) => at !== 9);
    const newest = rows.map((row) => ({ ...row, state: 'new' }));
    const { items } = withFirstPage(twoPages(), read(newest));
    expect(items.map(({ at, state }) => [at, state])).toEqual([
      [10, 'new'],
      [8, 'new'],
      [7, 'new'],
      [6, undefined],
      [5, undefined],
    ]);
  });

  it('goes on after the first page when no older row is shown', () => {
    expect(withFirstPage(read(rowsTo(4)), read(rowsTo(4).slice(0, 3)))).toMatchObject({ nextCursor: null });
    const shown = withFirstPage(read(rowsTo(10)), read(rowsTo(10).filter(({ at }) => at !== 10)));
    expect([timesOf(shown), shown.nextCursor]).toEqual([[9, 8, 7], '7']);
  });

  it('leaves out a page that was asked for before it started over', () => {
    const over = withFirstPage(twoPages(), read(rowsTo(20)));
    expect(withNextPage(over, '5', read(rowsTo(20), 5))).toBe(over);
  });
});
