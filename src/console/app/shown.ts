import type { Page } from './api-types.js';

/** What is shown of a list, the newest first, and the cursor that asks for what follows. */
export type Shown<T> = Pick<Page<T>, 'items' | 'nextCursor'>;

/**
 * Puts a first page that was read again before the older rows that are shown.
 *
 * Where the page does not end within what is shown, the list starts over with it: rows in between would be missing unseen.
 */
export function withFirstPage<T extends { id: string }>(shown: Shown<T>, page: Page<T>): Shown<T> {
  // By place: ids need not be in the order of the list.
  const end = shown.items.findIndex(({ id }) => id === page.items.at(-1)?.id);
  const older = end === -1 || page.nextCursor === null ? [] : shown.items.slice(end + 1);
  return older.length === 0 ? page : { items: [...page.items, ...older], nextCursor: shown.nextCursor };
}

/** Adds the page after a cursor; nothing when the list has started over since it was asked for. */
export function withNextPage<T>(shown: Shown<T>, after: string, page: Page<T>): Shown<T> {
  if (shown.nextCursor !== after) return shown;
  return { items: [...shown.items, ...page.items], nextCursor: page.nextCursor };
}
