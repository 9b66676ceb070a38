import { useEffect, useRef, useState } from 'preact/hooks';
import { HeraldError } from '../../client/herald-client.js';
import { liveCount } from './live.js';
import { api, client } from './session.js';

/** Something read from the API: what it is, or why there is nothing. */
export interface Resource<T> {
  data: T | undefined;
  error: HeraldError | undefined;
  /** Reads it again; what is shown stays until then. */
  reload: () => Promise<void>;
}

interface Options {
  /** Reads it again after so many ms, while the page is visible. */
  everyMs?: number;
  /** Reads it again after events of these types: a filter such as `user.*`. */
  on?: string;
}

/** Events that come together are answered with one reading, and many with one now and then. */
const GATHER_MS = 300;
const REST_MS = 3000;

/** Reads a path of the API now, whenever it changes, and after the connection was lost; null reads nothing. */
export function useResource<T>(path: string | null, { everyMs, on }: Options = {}): Resource<T> {
  const [state, setState] = useState<{ path: string | null; data?: T; error?: HeraldError }>({ path });
  const current = useRef(path);
  current.current = path;
  const reload = async (): Promise<void> => {
    if (path === null) return;
    try {
      const data = await api.get<T>(path);
      if (current.current === path) setState({ path, data });
    } catch (error) {
      if (current.current !== path) return;
      // What is there already is worth more than an error: the connection's own state tells of trouble.
      setState((before) => ({ ...(before.path === path && before), path, error: toHeraldError(error) }));
    }
  };
  const epoch = liveCount.value;
  useEffect(() => void reload(), [path, epoch]);
  useEffect(() => {
    if (everyMs === undefined) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') void reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [path, everyMs]);
  useEffect(() => {
    if (on === undefined) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let readAt = 0;
    const stop = client.on(on as '*', () => {
      const pause = Math.max(GATHER_MS, readAt + REST_MS - Date.now());
      timer ??= setTimeout(() => {
        timer = undefined;
        readAt = Date.now();
        void reload();
      }, pause);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [path, on]);
  const isCurrent = state.path === path;
  return { data: isCurrent ? state.data : undefined, error: isCurrent ? state.error : undefined, reload };
}

/** What is thrown is a {@link HeraldError}, or a fault of the page. */
export function toHeraldError(error: unknown): HeraldError {
  return error instanceof HeraldError ? error : new HeraldError('PAGE', String(error));
}
