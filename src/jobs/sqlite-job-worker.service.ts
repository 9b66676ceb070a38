import type { Config } from '../config/config.js';
import { isSuspect, type ClaimedJob, type DueLane, type Outcome } from './job-records.js';
import type { JobRegistry } from './job-registry.service.js';
import { JobWorker } from './job-worker.service.js';
import { LaneBook } from './lane-book.js';
import type { SqliteJobStore } from './sqlite-job-store.service.js';
import type { Slot } from './type-slots.js';

/** Runs the jobs of SQLite, where this process alone claims them: what waits is known without asking the database. */
export class SqliteJobWorker extends JobWorker {
  private readonly lanes = new LaneBook();
  private types: string[] = [];
  private suspectDueAt = Number.POSITIVE_INFINITY;

  constructor(
    config: Config,
    registry: JobRegistry,
    protected override readonly store: SqliteJobStore,
  ) {
    super(config, registry, store);
    store.onDue((lanes) => {
      for (const lane of lanes) this.noteDue(lane);
      this.wake();
    });
  }

  protected open(): void {
    for (const type of this.registry.all()) this.lanes.open(type);
    this.types = this.registry.all().map(({ name }) => name);
  }

  protected slotFor(job: ClaimedJob): Slot {
    return this.lanes.take(job);
  }

  protected nextDueAt(): number {
    return Math.min(this.lanes.nextDueAt(), this.suspect ? Number.POSITIVE_INFINITY : this.suspectDueAt);
  }

  /** Finds out what waits. Inside a unit, so that no commit comes between the answer and its use. */
  private async reload(): Promise<void> {
    await this.store.transaction(async (tx) => {
      this.lanes.reload(await this.store.lanes());
      this.suspectDueAt = await this.store.nextSuspectDue(tx, this.types);
    });
    this.stale = false;
  }

  protected async cycle(): Promise<void> {
    if (this.stale) await this.reload();
    const now = Date.now();
    const claims = this.state === 'running' ? this.lanes.claimable(now) : [];
    const wantsSuspect = this.state === 'running' && !this.suspect && this.suspectDueAt <= now;
    if (this.outcomes.length === 0 && claims.length === 0 && !wantsSuspect) return;
    let settled: Outcome[] = [];
    const claimed: ClaimedJob[] = [];
    let suspect: ClaimedJob | undefined;
    let nextSuspectDue = Number.POSITIVE_INFINITY;
    try {
      await this.store.transaction(async (tx) => {
        // Taken only now: more may have ended while the unit waited for its turn.
        settled = this.outcomes.splice(0);
        if (settled.length > 0) await this.store.settle(tx, settled, now);
        for (const { lane, limit } of claims) {
          const jobs = await this.store.claim(tx, lane, limit, now);
          // The next one is due no earlier than the last one was, so that a busy lane does not always come first.
          const next = jobs.length < limit ? await this.store.nextDue(tx, lane) : jobs.at(-1)?.runAt;
          this.lanes.setDue(lane, next);
          claimed.push(...jobs);
        }
        if (wantsSuspect) suspect = await this.store.claimSuspect(tx, this.types, now);
        if (wantsSuspect && !suspect) nextSuspectDue = await this.store.nextSuspectDue(tx, this.types);
      });
    } catch (error) {
      this.outcomes.unshift(...settled);
      throw error;
    }
    for (const { job, runAt } of settled) {
      if (runAt !== undefined) this.noteDue({ ...job, dueAt: runAt, suspect: isSuspect(job) });
    }
    for (const job of claimed) this.execute(job);
    if (wantsSuspect) {
      this.suspect = suspect && this.execute(suspect);
      // There may be more of them; without one, the answer of this very unit stands until the next commit.
      this.suspectDueAt = suspect ? now : nextSuspectDue;
    }
    // A lane that gave all it was asked for may have more.
    if (claims.length > 0 && this.lanes.nextDueAt() <= now) this.again = true;
  }

  private noteDue({ type, group, priority, dueAt, suspect = false }: DueLane): void {
    if (suspect) this.suspectDueAt = Math.min(this.suspectDueAt, dueAt);
    else this.lanes.note([{ type, group, priority, dueAt }]);
  }
}
