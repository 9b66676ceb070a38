import type { RegisteredJobType } from './job-registry.service.js';
import type { DueLane, Lane } from './job-store.service.js';

/** How much work a type claims ahead of its free slots: what it finishes in this time. */
const AHEAD_MS = 20;
/** The most jobs of a type that are claimed ahead. */
const MAX_AHEAD = 1000;

/** A place for one claimed job. */
export interface Slot {
  /** Calls `start` once the job may run. */
  whenMyTurn(start: () => void): void;
  free(): void;
}

/** What one type of job is doing. */
class TypeBook {
  readonly lanes = new Map<string, DueLane>();
  readonly takenByGroup = new Map<string, number>();
  private readonly queue: { start: () => void; freed: boolean }[] = [];
  private taken = 0;
  private running = 0;
  private finished = 0;
  private claimedAt = 0;

  constructor(readonly type: RegisteredJobType) {}

  /**
   * How many more jobs may be claimed. Fast handlers finish many jobs while a claim is under way; claiming ahead what
   * they finish in 20 ms keeps them busy, and slow ones leave their next job to whoever is free.
   */
  room(now: number): number {
    const { concurrency, groupConcurrency } = this.type.options;
    const grouped = groupConcurrency < concurrency;
    const pace = this.finished / Math.max(1, now - this.claimedAt);
    const ahead = grouped ? 0 : Math.min(MAX_AHEAD, Math.floor(pace * AHEAD_MS));
    this.finished = 0;
    this.claimedAt = now;
    return concurrency + ahead - this.taken;
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

/**
 * Knows, without asking the database, which lanes have jobs due and how many of each type may run.
 *
 * It is exact because every change to the queue of this process passes by here; a start and a failed transaction load
 * it anew.
 */
export class LaneBook {
  private readonly types = new Map<string, TypeBook>();

  /** Begins to work on a type. */
  open(type: RegisteredJobType): void {
    this.types.set(type.name, new TypeBook(type));
  }

  /** Takes note of waiting jobs. */
  note(lanes: readonly DueLane[]): void {
    for (const lane of lanes) {
      const book = this.types.get(lane.type);
      const known = book?.lanes.get(keyOf(lane));
      if (known) known.dueAt = Math.min(known.dueAt, lane.dueAt);
      else book?.lanes.set(keyOf(lane), { ...lane });
    }
  }

  /** Forgets what it knew of waiting jobs, and takes note of these. */
  reload(lanes: readonly DueLane[]): void {
    for (const { lanes: known } of this.types.values()) known.clear();
    this.note(lanes);
  }

  /** Says when the next job of a lane is due; undefined when none waits. */
  setDue(lane: Lane, dueAt: number | undefined): void {
    const lanes = this.types.get(lane.type)?.lanes;
    if (dueAt === undefined) lanes?.delete(keyOf(lane));
    else lanes?.set(keyOf(lane), { ...lane, dueAt });
  }

  /** Returns what to claim now: due lanes with room, the highest priority first, then the one that waits longest. */
  claimable(now: number): { lane: Lane; limit: number }[] {
    const claims: { lane: Lane; limit: number }[] = [];
    for (const book of this.types.values()) {
      const due = [...book.lanes.values()].filter(({ dueAt }) => dueAt <= now);
      if (due.length === 0) continue;
      due.sort((a, b) => b.priority - a.priority || a.dueAt - b.dueAt);
      let room = book.room(now);
      const left = new Map<string, number>();
      for (const lane of due) {
        const ofGroup = left.get(lane.group) ?? book.roomOfGroup(lane.group);
        const limit = Math.min(room, ofGroup);
        if (limit <= 0) continue;
        claims.push({ lane, limit });
        room -= limit;
        left.set(lane.group, ofGroup - limit);
      }
    }
    return claims;
  }

  /** The earliest time at which a lane that has room is due. */
  nextDueAt(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const book of this.types.values()) {
      for (const lane of book.lanes.values()) {
        // Without room, the end of a running job wakes the worker.
        if (lane.dueAt < earliest && book.roomOfGroup(lane.group) > 0 && book.hasRoom) earliest = lane.dueAt;
      }
    }
    return earliest;
  }

  /** Takes a slot for a claimed job. */
  take({ type, group }: Lane): Slot {
    const book = this.types.get(type);
    if (!book) throw new Error(`Nobody works on "${type}"`);
    return book.take(group);
  }
}

function keyOf({ group, priority }: Lane): string {
  return `${priority} ${group}`;
}
