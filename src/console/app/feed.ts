import { signal, type Signal } from '@preact/signals';
import type { HeraldError } from '../../client/herald-client.js';
import { apiPath } from './address.js';
import type { Event, Page } from './api-types.js';
import { toHeraldError } from './resource.js';
import { api, client } from './session.js';

/** The most events that are kept: older ones are read again by whoever wants them. */
const MAX_KEPT = 10_000;
const PAGE = '200';

/**
 * The events that a filter lets through, the newest first: what was there, and what comes.
 *
 * What comes is shown once per frame, however much it is; while it is paused it waits.
 */
export class Feed {
  readonly events: Signal<readonly Event[]> = signal([]);
  readonly isPaused = signal(false);
  /** How many events wait until the feed goes on. */
  readonly waiting = signal(0);
  readonly isLoading = signal(true);
  readonly hasOlder = signal(false);
  readonly error = signal<HeraldError | undefined>(undefined);
  private readonly ids = new Set<string>();
  /** The newest last. */
  private arrived: Event[] = [];
  /** How often the end of what is shown was cut off. */
  private cuts = 0;
  private frame: number | undefined;
  private readonly stop: () => void;

  /** @param filter - one of the service's: a type, `prefix.*`, or `*`. */
  constructor(private readonly filter: string) {
    // Before what was there is read: what comes in between is seen by one of the two.
    this.stop = client.on(filter as '*', (event) => this.take(event));
    void this.loadOlder();
  }

  /** Reads the page of events before those that are there. */
  async loadOlder(): Promise<void> {
    this.isLoading.value = true;
    const { cuts } = this;
    try {
      const before = this.events.peek().at(-1)?.id;
      const query = { order: 'desc', limit: PAGE, type: this.filter, before };
      const { items, hasMore } = await api.get<Page<Event>>(apiPath('/events', query));
      this.error.value = undefined;
      // Past what was cut off since they were asked for, they would hide a gap.
      if (cuts === this.cuts) {
        this.hasOlder.value = hasMore;
        this.events.value = [...this.events.peek(), ...items.filter((event) => this.isNew(event))];
      }
    } catch (error) {
      this.error.value = toHeraldError(error);
    }
    this.isLoading.value = false;
  }

  /** Holds what comes, so that what is shown stays still; or shows what has waited. */
  pause(isPaused: boolean): void {
    this.isPaused.value = isPaused;
    if (!isPaused) this.show();
  }

  close(): void {
    this.stop();
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
  }

  private take(event: Event): void {
    if (!this.isNew(event)) return;
    this.arrived.push(event);
    // While it is paused, or no frame comes since the tab is hidden.
    if (this.arrived.length > MAX_KEPT) this.drop(this.arrived.splice(0, this.arrived.length - MAX_KEPT));
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (this.isPaused.value) this.waiting.value = this.arrived.length;
      else this.show();
    });
  }

  private show(): void {
    this.waiting.value = 0;
    if (this.arrived.length === 0) return;
    const all = [...this.arrived.toReversed(), ...this.events.peek()];
    this.arrived = [];
    this.events.value = all.slice(0, MAX_KEPT);
    if (all.length <= MAX_KEPT) return;
    this.drop(all.slice(MAX_KEPT));
    this.cuts += 1;
  }

  /** Forgets events, so that they can be read again. */
  private drop(events: readonly Event[]): void {
    for (const { id } of events) this.ids.delete(id);
    this.hasOlder.value = true;
  }

  private isNew({ id }: Event): boolean {
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    return true;
  }
}
