import type { Config } from '../config/config.js';
import type { Instances } from '../database/instances.js';
import { LOST_MS, type BossJobStore } from './boss-job-store.service.js';
import type { JobExecution } from './job-execution.js';
import { isSuspect, type ClaimedJob, type Outcome } from './job-records.js';
import type { JobRegistry } from './job-registry.service.js';
import { JobWorker } from './job-worker.service.js';
import { TypeSlots, type Ahead, type Slot } from './type-slots.js';

/** A claim takes the time of a transaction, in which other instances have their part. */
const AHEAD: Ahead = { ms: 100, most: 2000 };
/** How often running attempts are touched, and those are looked for that nobody touches. */
const TOUCH_MS = 2500;
/** When a look that found a due job which could not be claimed is repeated: another instance is claiming it. */
const AGAIN_MS = 20;
/** How long an attempt must have been silent to be taken by an instance that has just started. */
const LOST_AT_START_MS = 30_000;
/** How long a suspect waits while another one runs here. */
const SUSPECT_PAUSE_MS = 250;

/** How many jobs of a type to claim. */
interface Claim {
  type: string;
  groupConcurrency: number;
  limit: number;
}

/**
 * Runs jobs of PostgreSQL beside other instances: each claims what is due, and none knows what the others do.
 *
 * When the next job of a type is due it knows from its own submits, and asks the database when another instance signals
 * and each second.
 */
export class BossJobWorker extends JobWorker {
  private readonly slots = new Map<string, TypeSlots>();
  /** When the next job of a type may be due, in epoch ms of this process. */
  private readonly due = new Map<string, number>();
  /** Claimed ahead, and still waiting when the last touch was made. */
  private kept: JobExecution[] = [];
  /** Since when every touch has come through in time, by `performance.now()`. */
  private healthySince: number | undefined;
  private touching: Promise<void> | undefined;
  private touchTimer: NodeJS.Timeout | undefined;

  constructor(
    config: Config,
    registry: JobRegistry,
    protected override readonly store: BossJobStore,
    instances: Instances,
  ) {
    super(config, registry, store);
    store.onDue((lanes) => {
      for (const { type, dueAt } of lanes) this.note(type, dueAt);
      this.wake();
    });
    instances.onSignal('jobs', () => this.lookAgain());
  }

  /** Resolves once nothing runs here and nothing is due. */
  override async idle(): Promise<void> {
    this.lookAgain();
    await super.idle();
  }

  override async onApplicationShutdown(): Promise<void> {
    await super.onApplicationShutdown();
    clearInterval(this.touchTimer);
    await this.touching;
    await this.store.close();
  }

  protected async open(): Promise<void> {
    for (const type of this.registry.all()) {
      this.slots.set(type.name, new TypeSlots(type, AHEAD));
      await this.store.prepare(type.name);
    }
    this.touchTimer = setInterval(() => (this.touching ??= this.touch()), TOUCH_MS);
  }

  protected slotFor({ type, group }: ClaimedJob): Slot {
    const slots = this.slotsOf(type);
    const slot = slots.take(group);
    return {
      whenMyTurn: (start) => slot.whenMyTurn(start),
      free: () => {
        slot.free();
        // What its group has waiting may be claimed now.
        if (slots.isGrouped) this.note(type, Date.now());
      },
    };
  }

  protected nextDueAt(): number {
    let earliest = Number.POSITIVE_INFINITY;
    // Without room, the end of a running job wakes the worker.
    for (const [type, dueAt] of this.due) if (this.slotsOf(type).hasRoom) earliest = Math.min(earliest, dueAt);
    return earliest;
  }

  protected async cycle(): Promise<void> {
    if (this.stale) await this.look();
    const now = Date.now();
    const claims = this.state === 'running' ? this.claimable(now) : [];
    if (this.outcomes.length === 0 && claims.length === 0) return;
    const settled = this.outcomes.splice(0);
    // What is submitted meanwhile is noted on top of it.
    for (const { type } of claims) this.due.delete(type);
    try {
      const { jobs, suspect, due } = await this.settleAndClaim(settled, claims, now);
      for (const [type, dueAt] of due) this.note(type, dueAt);
      for (const { job, runAt } of settled) if (runAt !== undefined) this.note(job.type, runAt);
      for (const job of jobs) this.execute(job);
      if (suspect) this.suspect = this.execute(suspect);
    } catch (error) {
      this.outcomes.unshift(...settled);
      throw error;
    }
    if (this.nextDueAt() <= Date.now()) this.again = true;
  }

  private settleAndClaim(
    settled: readonly Outcome[],
    claims: readonly Claim[],
    now: number,
  ): Promise<{ jobs: ClaimedJob[]; suspect: ClaimedJob | undefined; due: Map<string, number> }> {
    return this.store.transaction(async (tx) => {
      if (settled.length > 0) await this.store.settle(tx, settled);
      const grouped = claims.filter(({ type }) => this.slotsOf(type).isGrouped);
      await this.store.lockGroups(grouped.map(({ type }) => type));
      const claimed: ClaimedJob[] = [];
      const due = new Map<string, number>();
      const spent: string[] = [];
      for (const { type, groupConcurrency, limit } of claims) {
        const jobs = await this.store.claim(tx, { type, groupConcurrency }, limit);
        claimed.push(...jobs);
        // Of a group that is full, jobs are due that cannot be claimed: the end of one of them tells.
        if (jobs.length === limit || (jobs.length > 0 && this.slotsOf(type).isGrouped)) due.set(type, now);
        else spent.push(type);
      }
      const [suspect, ...others] = [...(this.suspect ? [undefined] : []), ...claimed.filter(isSuspect)];
      const returned = others.flatMap((job): Outcome[] =>
        job ? [{ job, end: 'returned', runAt: now + SUSPECT_PAUSE_MS }] : [],
      );
      if (returned.length > 0) await this.store.settle(tx, returned);
      if (spent.length > 0) {
        for (const { type, inMs } of await this.store.nextDue(tx, spent)) {
          if (inMs > 0 || !this.slotsOf(type).isGrouped) due.set(type, Date.now() + Math.max(AGAIN_MS, inMs));
        }
      }
      return { jobs: claimed.filter((job) => !isSuspect(job)), suspect, due };
    });
  }

  private claimable(now: number): Claim[] {
    return [...this.due].flatMap(([type, dueAt]) => {
      if (dueAt > now) return [];
      const slots = this.slotsOf(type);
      const limit = slots.room(now);
      return limit > 0 ? [{ type, groupConcurrency: slots.type.options.groupConcurrency, limit }] : [];
    });
  }

  /** Asks the database what waits. */
  private async look(): Promise<void> {
    this.stale = false;
    const waiting = await this.store.transaction((tx) => this.store.nextDue(tx, [...this.slots.keys()]));
    for (const { type, inMs } of waiting) this.note(type, Date.now() + inMs);
  }

  private lookAgain(): void {
    this.stale = true;
    this.wake();
  }

  private note(type: string, dueAt: number): void {
    if (this.slots.has(type)) this.due.set(type, Math.min(dueAt, this.due.get(type) ?? dueAt));
  }

  /** Says that what runs here still runs, and takes over what nobody says that of any more. */
  private async touch(): Promise<void> {
    const startedAt = performance.now();
    try {
      // Another instance may be free for what was claimed ahead of handlers that turned out to be slow.
      for (const execution of this.kept) execution.returnUnlessStarted();
      this.kept = [...this.executions].filter(({ isWaiting }) => isWaiting);
      await this.store.touch([...this.executions].map(({ job }) => job));
      this.healthySince = performance.now() - startedAt < TOUCH_MS ? (this.healthySince ?? startedAt) : undefined;
      await this.takeOver();
    } catch (error) {
      this.healthySince = undefined;
      this.logger.warn({ msg: 'the running jobs could not be touched', err: error });
    } finally {
      this.touching = undefined;
    }
  }

  /**
   * At a start it takes what has been silent for long, later what is silent while the database has answered for long enough:
   * whoever an outage has silenced has then had the time to speak again.
   */
  protected override async takeOver(): Promise<void> {
    const { healthySince } = this;
    const isStart = this.state === 'new';
    if (!isStart && (healthySince === undefined || performance.now() - healthySince < LOST_MS)) return;
    this.store.lostAfterMs = isStart ? LOST_AT_START_MS : LOST_MS;
    await super.takeOver();
  }

  private slotsOf(type: string): TypeSlots {
    const slots = this.slots.get(type);
    if (!slots) throw new Error(`Nobody works on "${type}"`);
    return slots;
  }
}
