/** What says that a page, or the machine, may have slept: in a browser alone. */
interface Page {
  addEventListener?: (type: string, listener: () => void) => void;
  removeEventListener?: (type: string, listener: () => void) => void;
  document?: Page & { visibilityState: string };
}

/**
 * Calls back when a page is shown, resumed or restored, and when the network comes back.
 *
 * @param onWake - `isMoved`: the network may be another one.
 * @returns what ends it.
 */
export function watchForWake(onWake: (isMoved: boolean) => void): () => void {
  const page = globalThis as unknown as Page;
  const { document } = page;
  const moved = (): void => onWake(true);
  const shown = (): void => {
    if (document?.visibilityState !== 'hidden') onWake(false);
  };
  const watched = [
    [page, 'online', moved],
    [page, 'pageshow', shown],
    [document, 'visibilitychange', shown],
    // Page Lifecycle: a frozen tab goes on.
    [document, 'resume', shown],
  ] as const;
  for (const [target, type, listener] of watched) target?.addEventListener?.(type, listener);
  return () => {
    for (const [target, type, listener] of watched) target?.removeEventListener?.(type, listener);
  };
}
