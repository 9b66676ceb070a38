/**
 * Deadlines of very many items, on one timer: setting, moving and taking back costs the same however many there are.
 *
 * A hashed wheel (Varghese and Lauck, 1987): an item lies in the slot of its tick, which comes around again and again.
 */
export class TimerWheel<T> {
  private readonly slots: Set<T>[];
  private readonly tickOf = new Map<T, number>();
  /** The tick that was looked at last. */
  private tick: number;

  /**
   * @param tickMs - how exact it is, in ms: nothing is due early, and at most this much late.
   * @param slots - what lies further ahead than this many ticks is looked at in vain now and then.
   * @param now - in epoch ms.
   */
  constructor(
    private readonly tickMs: number,
    slots: number,
    now: number,
  ) {
    this.slots = Array.from({ length: slots }, () => new Set<T>());
    this.tick = Math.floor(now / tickMs);
  }

  /** Sets when an item is due, in epoch ms, instead of what it was before; infinity is never. */
  set(item: T, at: number): void {
    this.delete(item);
    if (at === Number.POSITIVE_INFINITY) return;
    const tick = Math.max(Math.ceil(at / this.tickMs), this.tick + 1);
    this.tickOf.set(item, tick);
    this.slotOf(tick).add(item);
  }

  /** Forgets an item. */
  delete(item: T): void {
    const tick = this.tickOf.get(item);
    if (tick === undefined) return;
    this.tickOf.delete(item);
    this.slotOf(tick).delete(item);
  }

  /** Returns what is due at `now` (epoch ms), and forgets it. */
  take(now: number): T[] {
    const due: T[] = [];
    const until = Math.floor(now / this.tickMs);
    // After a long pause every slot is looked at, once.
    for (let tick = Math.max(this.tick, until - this.slots.length) + 1; tick <= until; tick += 1) {
      for (const item of this.slotOf(tick)) if ((this.tickOf.get(item) ?? 0) <= until) due.push(item);
    }
    for (const item of due) this.delete(item);
    // Also backwards, with a clock that was set: what is due later is found later.
    this.tick = until;
    return due;
  }

  private slotOf(tick: number): Set<T> {
    return this.slots[tick % this.slots.length] as Set<T>;
  }
}
