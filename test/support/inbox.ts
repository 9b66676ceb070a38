/** Collects what a client receives, in order, and lets a test wait for it without sleeping. */
export class Inbox<T> {
  readonly all: T[] = [];
  private taken = 0;
  private readonly waiters = new Set<() => void>();
  private over: string | undefined;

  push(item: T): void {
    this.all.push(item);
    this.wake();
  }

  /** Nothing more will come: whoever waits in vain is told why. */
  finish(reason: string): void {
    this.over = reason;
    this.wake();
  }

  /** Takes items in order until one fits, and returns that one. */
  async next(fits: (item: T) => boolean = () => true): Promise<T> {
    for (;;) {
      while (this.taken < this.all.length) {
        const item = this.all[this.taken++] as T;
        if (fits(item)) return item;
      }
      if (this.over !== undefined) throw new Error(`${this.over}; received ${JSON.stringify(this.all)}`);
      await new Promise<void>((resolve) => this.waiters.add(resolve));
    }
  }

  private wake(): void {
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const wake of waiters) wake();
  }
}
