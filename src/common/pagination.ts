/** One page of a list: its items, and the cursor that asks for the next page while there is one. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
  hasMore: boolean;
}

/** Cuts a page out of a list that was read with one item more than `limit`, which is how it knows of a next page. */
export function toPage<T>(items: T[], limit: number, cursorOf: (item: T) => string): Page<T> {
  const hasMore = items.length > limit;
  const page = hasMore ? items.slice(0, limit) : items;
  const last = page.at(-1);
  return { items: page, nextCursor: hasMore && last !== undefined ? cursorOf(last) : null, hasMore };
}
