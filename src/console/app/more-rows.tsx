import { useEffect, useState } from 'preact/hooks';
import { apiPath } from './address.js';
import type { Page } from './api-types.js';
import { ActionButton } from './button.js';
import { useResource, type Resource } from './resource.js';
import { api } from './session.js';
import { withFirstPage, withNextPage, type Shown } from './shown.js';

/** A list that the API gives in pages: the first one stays up to date, further ones are added by hand. */
export function usePages<T extends { id: string }>(
  path: string,
  query: Record<string, string | undefined>,
  options: { everyMs?: number; on?: string } = {},
): Resource<T[]> & { more: (() => Promise<void>) | undefined } {
  const full = apiPath(path, query);
  const { data: first, error, reload } = useResource<Page<T>>(full, options);
  const [list, setList] = useState<{ of: string; shown: Shown<T> }>();
  useEffect(() => {
    if (first) setList((now) => ({ of: full, shown: now?.of === full ? withFirstPage(now.shown, first) : first }));
  }, [first]);
  const shown = list?.of === full ? list.shown : undefined;
  const after = shown?.nextCursor ?? null;
  const more = async (): Promise<void> => {
    if (after === null) return;
    const page = await api.get<Page<T>>(apiPath(path, { ...query, after }));
    setList((now) => now && { of: now.of, shown: now.of === full ? withNextPage(now.shown, after, page) : now.shown });
  };
  return { data: shown?.items, error, reload, more: after === null ? undefined : more };
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
