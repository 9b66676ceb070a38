import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { eventTypes } from './catalogue.js';

/** The most filters one list may hold; the catalogue itself is far smaller. */
const MAX_FILTERS = 64;

/** Splits the text of a query parameter, `a,b`, into filters; blanks around them are dropped. */
export function splitList(text: string): string[] {
  return text.split(',').map((item) => item.trim());
}

/**
 * Checks a list of filters: exact types, `prefix.*`, or `*`. All of them, or none: one bad name refuses the list.
 *
 * @param types - what they choose from. @default every event
 * @returns the filters without repeats, in their order.
 * @throws AppError VALIDATION naming the bad one and every valid name.
 */
export function checkFilters(
  filters: readonly string[],
  field = 'events',
  types: readonly string[] = eventTypes(),
): string[] {
  const unique = [...new Set(filters)];
  if (unique.length > MAX_FILTERS) throw tooMany(field);
  for (const filter of unique) {
    if (filter !== '*' && !types.some((type) => matchesFilter(filter, type))) {
      const message = `"${filter.slice(0, 64)}" is not an event. Valid names: ${types.join(', ')}, a prefix such as login.*, or *`;
      throw new AppError('VALIDATION', message, [{ field, code: 'EVENT_UNKNOWN', message }]);
    }
  }
  return unique;
}

function tooMany(field: string): AppError {
  const message = `At most ${MAX_FILTERS} filters are allowed`;
  return new AppError('VALIDATION', message, [{ field, code: 'FILTERS_TOO_MANY', message }]);
}

/** Filters in one text, `a,b`: for variables. Checked by {@link checkFilters} when it is parsed. */
export const eventFilters = () =>
  z.string().transform((text, context) => {
    try {
      return checkFilters(splitList(text));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      context.addIssue({ code: 'custom', message: `holds what is no filter: ${error.message}` });
      return z.NEVER;
    }
  });

/** Says whether one filter lets a type through. */
export function matchesFilter(filter: string, type: string): boolean {
  if (filter === '*' || filter === type) return true;
  return filter.length > 2 && filter.endsWith('.*') && type.startsWith(filter.slice(0, -1));
}

/** Expands filters to the exact types they let through; undefined stands for every type, past and future ones too. */
export function typesOf(filters: Iterable<string>, types: readonly string[] = eventTypes()): string[] | undefined {
  const expanded = new Set<string>();
  for (const filter of filters) {
    if (filter === '*') return undefined;
    types.filter((type) => matchesFilter(filter, type)).forEach((type) => expanded.add(type));
  }
  return [...expanded];
}
