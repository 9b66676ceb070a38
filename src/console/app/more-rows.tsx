import { useEffect, useState } from 'preact/hooks';
import { apiPath } from './address.js';
import type { Page } from './api-types.js';
import { ActionButton } from './button.js';
import { useResource, type Resource } from './resource.js';
import { api } from './session.js';

/** A list that the API gives in pages: the first one stays up to date, further ones are added by hand. */
export function usePages<T extends { id: string }>(
  path: string,
  query: Record<string, string | undefined>,
  options: { everyMs?: number; on?: string } = {},
): Resource<T[]> & { more: (() => Promise<void>) | undefined } {
  const full = apiPath(path, query);
  const first = useResource<Page<T>>(full, options);
  const [rest, setRest] = useState<{ of: string; items: T[]; next: string | null }>({
    of: full,
    items: [],
    next: null,
  });
  useEffect(() => setRest({ of: full, items: [], next: null }), [full]);
  const { data, error, reload } = first;
  const added = rest.of === full ? rest.items : [];
  const next = added.length > 0 ? rest.next : (data?.nextCursor ?? null);
  const more = async (): Promise<void> => {
    const page = await api.get<Page<T>>(apiPath(path, { ...query, after: next ?? undefined }));
    setRest({ of: full, items: [...added, ...page.items], next: page.nextCursor });
  };
  const seen = new Set(data?.items.map(({ id }) => id));
  const items = data && [...data.items, ...added.filter(({ id }) => !seen.has(id))];
  return { data: items, error, reload, more: next === null ? undefined : more };
}

/** Asks for the next page of a list, while there is one. */
export function MoreRows({ more }: { more: (() => Promise<void>) | undefined }) {
  if (!more) return null;
  return (
    <div class="more">
      <ActionButton run={more}>Show more</ActionButton>
    </div>
  );
}
