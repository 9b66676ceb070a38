import type { RegisteredJobType } from './job-registry.service.js';
import type { DueLane, Lane } from './job-records.js';
import { TypeSlots, type Ahead, type Slot } from './type-slots.js';

/** A claim is under way for a few ms. */
const AHEAD: Ahead = { ms: 20, most: 1000 };

class TypeBook extends TypeSlots {
  readonly lanes = new Map<string, DueLane>();
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
    this.types.set(type.name, new TypeBook(type, AHEAD));
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
