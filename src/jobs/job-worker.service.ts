import { AsyncResource } from 'node:async_hooks';
import { setImmediate, setTimeout as pause } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Config } from '../config/config.js';
import { JobExecution } from './job-execution.js';
import { JobRegistry, type RegisteredJobType } from './job-registry.service.js';
import { isSuspect, JobStore, type ClaimedJob, type DueLane, type Outcome } from './job-store.service.js';
import { LaneBook } from './lane-book.js';

/** The longest sleep: a clock that was set, or a machine that slept, is noticed within this time. */
const MAX_SLEEP_MS = 30_000;
const RETRY_MS = 1000;
/** The pause between two cycles while there is work: a commit costs as much as hundreds of jobs in it. */
const BUSY_PAUSE_MS = 5;
/** The share of the shutdown's time that running handlers get; the rest is for closing. */
const DRAIN_SHARE = 0.65;

/**
 * Runs the jobs of this process: claims them in batches, gives each to its handler, and writes how it ended.
 *
 * One cycle is one transaction: the outcomes of what has ended since the last one, then new claims. A commit that adds
 * a job starts a cycle at once; without one it sleeps until the next job is due. Types never compete for slots, so that
 * a slow one cannot starve a fast one.
 */
@Injectable()
export class JobWorker implements OnApplicationShutdown {
  private readonly logger = new Logger(JobWorker.name);
  // Jobs must not inherit the context of the request that happened to wake the worker.
  private readonly context = new AsyncResource('JobWorker');
  private readonly lanes = new LaneBook();
  private readonly executions = new Set<JobExecution>();
  private readonly outcomes: Outcome[] = [];
  private readonly deaths: Outcome[] = [];
  private types: string[] = [];
  private suspect: JobExecution | undefined;
  private suspectDueAt = Number.POSITIVE_INFINITY;
  /** Whether what is known of the waiting jobs may be wrong: at the start, and after a cycle that failed. */
  private stale = true;
  private state: 'new' | 'running' | 'draining' | 'stopped' = 'new';
  private cycling: Promise<void> | undefined;
  private again = false;
  private cycledAt = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private drained: Promise<void> | undefined;
  private idleWaiters: (() => void)[] = [];

  constructor(
    private readonly config: Config,
    private readonly registry: JobRegistry,
    private readonly store: JobStore,
  ) {
    store.onDue((lanes) => {
      for (const lane of lanes) this.noteDue(lane);
      this.wake();
    });
  }

  /** Takes over what the previous process left, and begins to work. Called once every handler is in place. */
  async start(): Promise<void> {
    if (this.state !== 'new') return;
    for (const type of this.registry.all()) this.lanes.open(type);
    this.types = this.registry.all().map(({ name }) => name);
    await this.takeOver();
    const waiting = new Set((await this.store.lanes()).map(({ type }) => type));
    const orphans = [...waiting].filter((type) => !this.registry.find(type));
    if (orphans.length > 0) this.logger.warn(`jobs wait whose type nobody handles: ${orphans.join(', ')}`);
    // A shutdown may have come in between.
    if ((this.state as string) !== 'new') return;
    this.state = 'running';
    this.wake();
  }

  /** Resolves once nothing runs and nothing is due. */
  async idle(): Promise<void> {
    this.wake();
    while (this.cycling ?? (this.executions.size > 0 || this.outcomes.length + this.deaths.length > 0)) {
      await (this.cycling ?? new Promise<void>((resolve) => this.idleWaiters.push(resolve)));
    }
  }

  /**
   * Stops claiming, gives running handlers their share of `SHUTDOWN_GRACE_MS`, then returns their jobs, which the next
   * process runs again without counting the attempt. Whoever closes what handlers use awaits this first.
   */
  drain(): Promise<void> {
    this.drained ??= this.stop();
    return this.drained;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.drain();
  }

  private async stop(): Promise<void> {
    if (this.state !== 'running') {
      this.state = 'stopped';
      return;
    }
    this.state = 'draining';
    clearTimeout(this.timer);
    for (const execution of this.executions) execution.returnUnlessStarted();
    let deadline: NodeJS.Timeout | undefined;
    const graceOver = new Promise<void>((resolve) => {
      deadline = setTimeout(resolve, this.config.SHUTDOWN_GRACE_MS * DRAIN_SHARE);
    });
    await Promise.race([this.idle(), graceOver]);
    clearTimeout(deadline);
    for (const execution of this.executions) execution.giveBack();
    await this.idle();
    this.state = 'stopped';
  }

  private wake(): void {
    if (this.state !== 'running' && this.state !== 'draining') return;
    this.again = true;
    this.cycling ??= this.context.runInAsyncScope(() => this.cycleUntilDone());
  }

  private async cycleUntilDone(): Promise<void> {
    clearTimeout(this.timer);
    try {
      while (this.again) {
        // Requests and timers come first, and whatever ends meanwhile goes into the same transaction.
        const left = this.cycledAt + BUSY_PAUSE_MS - performance.now();
        await (left > 0 ? pause(left) : setImmediate());
        this.again = false;
        await this.cycle();
        this.cycledAt = performance.now();
      }
      this.sleep();
    } catch (error) {
      this.logger.error({ msg: `the queue could not be read or written; trying again in ${RETRY_MS} ms`, err: error });
      this.stale = true;
      this.timer = setTimeout(() => this.wake(), RETRY_MS);
    } finally {
      this.cycling = undefined;
      this.idleWaiters.splice(0).forEach((resolve) => resolve());
    }
  }

  /** Finds out what waits. Inside a unit, so that no commit comes between the answer and its use. */
  private async reload(): Promise<void> {
    await this.store.transaction(async (tx) => {
      this.lanes.reload(await this.store.lanes());
      this.suspectDueAt = await this.store.nextSuspectDue(tx, this.types);
    });
    this.stale = false;
  }

  private sleep(): void {
    if (this.state !== 'running') return;
    const dueAt = Math.min(this.lanes.nextDueAt(), this.suspect ? Number.POSITIVE_INFINITY : this.suspectDueAt);
    if (dueAt === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(() => this.wake(), Math.min(MAX_SLEEP_MS, Math.max(0, dueAt - Date.now())));
  }

  private async cycle(): Promise<void> {
    for (let death = this.deaths[0]; death; death = this.deaths[0]) {
      await this.bury(death);
      this.deaths.shift();
    }
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

  /** Writes that a job is dead, and lets what hangs on it follow in the same transaction. */
  private async bury(death: Outcome): Promise<void> {
    const { job, error = '' } = death;
    const onDead = this.registry.find(job.type)?.onDead;
    const write = (tx: EntityManager) => this.store.settle(tx, [death], Date.now());
    try {
      await this.store.transaction(async (tx) => {
        if ((await write(tx)) > 0) await onDead?.(job.payload, error);
      });
    } catch (cause) {
      // What hangs on it must not keep a dead job alive.
      this.logger.error({ msg: `@OnDeadJob('${job.type}') failed`, jobId: job.id, err: cause });
      await this.store.transaction(write);
    }
  }

  private noteDue({ type, group, priority, dueAt, suspect = false }: DueLane): void {
    if (suspect) this.suspectDueAt = Math.min(this.suspectDueAt, dueAt);
    else this.lanes.note([{ type, group, priority, dueAt }]);
  }

  private execute(job: ClaimedJob): JobExecution {
    const type = this.registry.find(job.type) as RegisteredJobType;
    const slot = this.lanes.take(job);
    const execution = new JobExecution(job, type, this.store, this.logger, (outcome) => {
      this.executions.delete(execution);
      if (this.suspect === execution) this.suspect = undefined;
      if (outcome?.end === 'dead') this.deaths.push(outcome);
      else if (outcome) this.outcomes.push(outcome);
      slot.free();
      this.wake();
    });
    this.executions.add(execution);
    if (this.state === 'running') slot.whenMyTurn(() => execution.start());
    // A shutdown began while the claim was under way.
    else execution.giveBack();
    return execution;
  }

  /** Ends the attempts that the previous process was in the middle of: they run again at once, or were one too many. */
  private async takeOver(): Promise<void> {
    const now = Date.now();
    const deaths = await this.store.transaction(async (tx) => {
      const abandoned = await this.store.findAbandoned(tx);
      if (abandoned.length === 0) return [];
      await this.store.chargeCrash(tx, this.types);
      const outcomes = abandoned.map((job): Outcome => {
        const type = this.registry.find(job.type);
        // Of a type that nobody handles any more: it waits, uncharged, for whoever will.
        if (!type) return { job, end: 'returned', runAt: now };
        const end = job.crashes + 1 >= type.options.maxCrashes ? 'dead' : 'failed';
        return { job, end, runAt: now, error: 'The process ended during this attempt' };
      });
      const living = outcomes.filter(({ end }) => end !== 'dead');
      if (living.length > 0) await this.store.settle(tx, living, now);
      return outcomes.filter(({ end }) => end === 'dead');
    });
    for (const death of deaths) await this.bury(death);
  }
}
