import type { DomainEvent } from './domain-event.js';

/** What an event weighs beside its strings, roughly, in bytes. */
const OVERHEAD_BYTES = 1000;

/** What to take from the recent events. */
interface RecentQuery {
  afterSeq: number;
  throughSeq?: number | undefined;
  types?: readonly string[] | undefined;
  subjects?: readonly string[] | undefined;
  limit: number;
}

/**
 * The newest end of the journal, in memory: whoever reads it, and that is every reader with every commit and every client
 * that comes back, reads no table.
 *
 * Bounded by bytes; what falls off the old end is read from the database.
 */
export class RecentEvents {
  private events: DomainEvent[] = [];
  private weights: number[] = [];
  private bytes = 0;
  /** Every event past this `seq` is here. */
  private after = Number.POSITIVE_INFINITY;

  /** @param maxBytes - what the events may weigh, roughly. */
  constructor(private readonly maxBytes: number) {}

  /** Adds the event that was committed next. */
  push(event: DomainEvent): void {
    // Three times: itself, and the frames of both transports that are kept with it.
    const weight = OVERHEAD_BYTES + 3 * JSON.stringify(event.payload).length + (event.origin.userAgent?.length ?? 0);
    if (this.events.length === 0) this.after = Math.min(this.after, event.seq - 1);
    this.events.push(event);
    this.weights.push(weight);
    this.bytes += weight;
    if (this.bytes > this.maxBytes) this.drop();
  }

  /** Forgets everything up to a `seq`, which the journal has removed. */
  removeThrough(seq: number): void {
    if (this.after === Number.POSITIVE_INFINITY) return;
    this.after = Math.max(this.after, seq);
    this.cut(this.indexAfter(seq));
  }

  /** The newest event, if any is here. */
  get newest(): DomainEvent | undefined {
    return this.events.at(-1);
  }

  /** Returns what follows, in order; undefined when some of it is no longer here. */
  read({
    afterSeq,
    throughSeq = Number.POSITIVE_INFINITY,
    types,
    subjects,
    limit,
  }: RecentQuery): DomainEvent[] | undefined {
    if (afterSeq < this.after) return undefined;
    const found: DomainEvent[] = [];
    for (let at = this.indexAfter(afterSeq); at < this.events.length && found.length < limit; at += 1) {
      const event = this.events[at] as DomainEvent;
      if (event.seq > throughSeq) break;
      if (types && !types.includes(event.type)) continue;
      if (subjects && !subjects.includes(event.subject)) continue;
      found.push(event);
    }
    return found;
  }

  /** Makes room for a quarter, so that it is not made again with every event. */
  private drop(): void {
    let count = 0;
    let bytes = this.bytes;
    for (; bytes > this.maxBytes * 0.75 && count < this.events.length - 1; count += 1)
      bytes -= this.weights[count] ?? 0;
    this.after = this.events[count - 1]?.seq ?? this.after;
    this.cut(count);
  }

  private cut(count: number): void {
    for (const weight of this.weights.slice(0, count)) this.bytes -= weight;
    this.events = this.events.slice(count);
    this.weights = this.weights.slice(count);
  }

  /** The place of the first event past a `seq`. */
  private indexAfter(seq: number): number {
    let [low, high] = [0, this.events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.events[middle] as DomainEvent).seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
