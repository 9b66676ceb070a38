import type { CursorStorage, Gap } from './client-options.js';

/** Ids that are remembered, so that an event that comes again is not handed on again. */
const REMEMBERED = 1000;

/** Knows how far a client has come. */
export class Cursor {
  readonly #seen = new Set<string>();
  #id: string | undefined;
  #isRead = false;
  /** A connection was live, and events may have come since. */
  #wasLive = false;

  constructor(
    private readonly options: {
      lastEventId: string | undefined;
      storage: CursorStorage | undefined;
      /** Asks the service for the newest event there is. */
      newest: () => Promise<string | undefined>;
      onGap: (gap: Gap) => void;
      report: (error: unknown) => void;
    },
  ) {
    this.#id = options.lastEventId;
  }

  /** The id of the last event. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Returns what to start after: what was kept, or the newest event there is, so that nothing after it is missed. */
  async locate(): Promise<string | undefined> {
    if (!this.#isRead) {
      const kept = await this.#read();
      this.#isRead = true;
      this.#id ??= kept ?? undefined;
    }
    if (this.#id === undefined) {
      if (this.#wasLive) this.gap('unknown');
      const newest = await this.options.newest();
      this.#id ??= newest;
    }
    return this.#id;
  }

  /** Notes that from now on events may come. */
  live(): void {
    this.#wasLive = true;
  }

  /** Says whether an event is new. */
  isNew(id: string): boolean {
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    const [oldest] = this.#seen;
    if (this.#seen.size > REMEMBERED && oldest !== undefined) this.#seen.delete(oldest);
    return true;
  }

  /** Goes on to an event. */
  advance(id: string): void {
    this.#id = id;
    try {
      const kept = this.options.storage?.set(id);
      if (kept instanceof Promise) kept.catch(this.options.report);
    } catch (error) {
      this.options.report(error);
    }
  }

  /** Tells that events may be missing. */
  gap(reason: Gap['reason']): void {
    this.options.onGap({ reason, ...(this.#id !== undefined && { lastEventId: this.#id }) });
  }

  /** Begins anew: the service does not know it. */
  forget(): void {
    this.gap('cursor');
    this.#id = undefined;
    this.#wasLive = false;
  }

  async #read(): Promise<string | null | undefined> {
    try {
      return await this.options.storage?.get();
    } catch (error) {
      this.options.report(error);
      return undefined;
    }
  }
}
