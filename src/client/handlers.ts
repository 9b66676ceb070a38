/** Functions to call, each safe from what the others throw. */
export class Handlers<T> {
  readonly #all = new Set<(value: T) => unknown>();

  /** @param report - told what a function throws, or what its promise is rejected with. */
  constructor(private readonly report: (error: unknown) => void) {}

  /** Adds a function; returns what takes it away, as `signal` does. */
  add(handler: (value: T) => unknown, signal?: AbortSignal): () => void {
    // Of its own for each time the same function is added.
    const own = (value: T): unknown => handler(value);
    const remove = (): void => {
      this.#all.delete(own);
      signal?.removeEventListener('abort', remove);
    };
    if (signal?.aborted) return remove;
    this.#all.add(own);
    signal?.addEventListener('abort', remove);
    return remove;
  }

  get size(): number {
    return this.#all.size;
  }

  call(value: T): void {
    for (const handler of this.#all) {
      try {
        const result = handler(value);
        if (result instanceof Promise) result.catch(this.report);
      } catch (error) {
        this.report(error);
      }
    }
  }
}
