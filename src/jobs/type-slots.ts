import type { RegisteredJobType } from './job-registry.service.js';

/** How much work a type claims ahead of its free slots: what it finishes in `ms`, and no more than `most` jobs. */
export interface Ahead {
  ms: number;
  most: number;
}

/** A place for one claimed job. */
export interface Slot {
  /** Calls `start` once the job may run. */
  whenMyTurn(start: () => void): void;
  free(): void;
}

/** What one type of job is doing, and how much more of it may run. */
export class TypeSlots {
  private readonly takenByGroup = new Map<string, number>();
  private readonly queue: { start: () => void; freed: boolean }[] = [];
  private taken = 0;
  private running = 0;
  private finished = 0;
  private claimedAt = 0;

  constructor(
    readonly type: RegisteredJobType,
    private readonly ahead: Ahead,
  ) {}

  /**
   * How many more jobs may be claimed. Fast handlers finish many jobs while a claim is under way; claiming ahead what
   * they finish meanwhile keeps them busy, and slow ones leave their next job to whoever is free.
   */
  room(now: number): number {
    const { concurrency, groupConcurrency } = this.type.options;
    const grouped = groupConcurrency < concurrency;
    const pace = this.finished / Math.max(1, now - this.claimedAt);
    const ahead = grouped ? 0 : Math.min(this.ahead.most, Math.floor(pace * this.ahead.ms));
    this.finished = 0;
    this.claimedAt = now;
    return concurrency + ahead - this.taken;
  }

  /** Whether its groups have a limit of their own. */
  get isGrouped(): boolean {
    return this.type.options.groupConcurrency !== Number.POSITIVE_INFINITY;
  }

  get hasRoom(): boolean {
    return this.taken < this.type.options.concurrency;
  }

  roomOfGroup(group: string): number {
    return this.type.options.groupConcurrency - (this.takenByGroup.get(group) ?? 0);
  }

  take(group: string): Slot {
    this.count(group, 1);
    const place = { start: (): void => undefined, freed: false };
    let running = false;
    return {
      whenMyTurn: (start) => {
        place.start = () => {
          running = true;
          start();
        };
        this.queue.push(place);
        this.startNext();
      },
      free: () => {
        place.freed = true;
        this.count(group, -1);
        this.finished += 1;
        if (running) this.running -= 1;
        this.startNext();
      },
    };
  }

  private count(group: string, change: number): void {
    this.taken += change;
    const ofGroup = (this.takenByGroup.get(group) ?? 0) + change;
    if (ofGroup === 0) this.takenByGroup.delete(group);
    else this.takenByGroup.set(group, ofGroup);
  }

  private startNext(): void {
    while (this.running < this.type.options.concurrency) {
      const place = this.queue.shift();
      if (!place) return;
      if (place.freed) continue;
      this.running += 1;
      place.start();
    }
  }
}
