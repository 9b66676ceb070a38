import { z } from 'zod';

/** How a list is asked for page by page, to spread into the schema of its query. */
export const pageQuery = {
  after: z.string().optional().meta({ description: 'The `nextCursor` of the page before.' }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .default(50)
    .meta({ description: 'The most items of a page.', examples: [10] }),
};

/** One page of a list: its items, and the cursor that asks for the next page while there is one. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
  hasMore: boolean;
}

/** Returns the schema of a page. */
export function pageOf<S extends z.ZodType>(item: S) {
  return z.strictObject({
    items: z.array(item),
    nextCursor: z
      .string()
      .nullable()
      .meta({ description: 'Null on the last page.', examples: [null] }),
    hasMore: z.boolean(),
  });
}

/** Cuts a page out of a list that was read with one item more than `limit`, which is how it knows of a next page. */
export function toPage<T>(items: T[], limit: number, cursorOf: (item: T) => string): Page<T> {
  const hasMore = items.length > limit;
  const page = hasMore ? items.slice(0, limit) : items;
  const last = page.at(-1);
  return { items: page, nextCursor: hasMore && last !== undefined ? cursorOf(last) : null, hasMore };
}
