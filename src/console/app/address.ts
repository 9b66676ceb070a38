import { useLocation } from 'preact-iso';

/** Where the page lives. */
export const BASE = '/console';

/** What the address says, and how to change it: whatever a person sees can be reached again by its address. */
export interface Address {
  /** Below {@link BASE}: `/events`. */
  path: string;
  query: Record<string, string>;
  /** Changes parts of the query; undefined or an empty text removes one. */
  set: (changes: Record<string, string | undefined>, options?: { replace?: boolean }) => void;
  /** Goes to another page. */
  go: (to: string) => void;
}

/** Reads the address, and follows it. */
export function useAddress(): Address {
  const { path, query, route } = useLocation();
  return {
    path: path.slice(BASE.length) || '/',
    query,
    set: (changes, { replace = false } = {}) => route(href(path.slice(BASE.length), { ...query, ...changes }), replace),
    go: (to) => route(href(to)),
  };
}

/** Builds the address of a page. */
export function href(path: string, query: Record<string, string | undefined> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, value);
  const text = parameters.toString();
  return `${BASE}${path === '/' ? '' : path}${text && `?${text}`}`;
}

/** Builds a path of the API with a query; what is empty is left out. */
export function apiPath(path: string, query: Record<string, string | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, value);
  const text = parameters.toString();
  return `${path}${text && `?${text}`}`;
}
