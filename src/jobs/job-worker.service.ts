import { AsyncResource } from 'node:async_hooks';
import { setImmediate, setTimeout as pause } from 'node:timers/promises';
import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Config } from '../config/config.js';
import { JobExecution } from './job-execution.js';
import type { ClaimedJob, Outcome } from './job-records.js';
import type { JobRegistry, RegisteredJobType } from './job-registry.service.js';
import type { JobStore } from './job-store.service.js';
import type { Slot } from './type-slots.js';

/** The longest sleep: a clock that was set, or a machine that slept, is noticed within this time. */
const MAX_SLEEP_MS = 30_000;
const RETRY_MS = 1000;
/** The pause between two cycles while there is work: a commit costs as much as hundreds of jobs in it. */
const BUSY_PAUSE_MS = 5;
/** The share of the shutdown's time that running handlers get; the rest is for closing. */
const DRAIN_SHARE = 0.65;

/**
 * Runs jobs in this process: claims them in batches, gives each to its handler, and writes how it ended.
 *
 * One cycle is one transaction: the outcomes of what has ended since the last one, then new claims. A commit that adds
 * a job starts a cycle at once; without one it sleeps until the next job is due. Types never compete for slots, so that
 * a slow one cannot starve a fast one.
 */
export abstract class JobWorker implements OnApplicationShutdown {
  protected readonly logger = new Logger(JobWorker.name);
  // Jobs must not inherit the context of the request that happened to wake the worker.
  private readonly context = new AsyncResource('JobWorker');
  protected readonly executions = new Set<JobExecution>();
  protected readonly outcomes: Outcome[] = [];
  private readonly deaths: Outcome[] = [];
  protected suspect: JobExecution | undefined;
  /** Whether what is known of the waiting jobs may be wrong: at the start, and after a cycle that failed. */
  protected stale = true;
  protected state: 'new' | 'running' | 'draining' | 'stopped' = 'new';
  private cycling: Promise<void> | undefined;
  protected again = false;
  private cycledAt = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private drained: Promise<void> | undefined;
  private idleWaiters: (() => void)[] = [];

  constructor(
    private readonly config: Config,
    protected readonly registry: JobRegistry,
    protected readonly store: JobStore,
  ) {}

  /** Takes over what ended processes left, and begins to work. Called once every handler is in place. */
  async start(): Promise<void> {
    if (this.state !== 'new') return;
    await this.open();
    await this.takeOver();
    const waiting = await this.store.waitingTypes();
    const orphans = waiting.filter((type) => !this.registry.find(type));
    if (orphans.length > 0) this.logger.warn(`jobs wait whose type nobody handles: ${orphans.join(', ')}`);
    // A shutdown may have come in between.
    if ((this.state as string) !== 'new') return;
    this.state = 'running';
    this.wake();
  }

  /** Gets ready for the registered types. */
  protected abstract open(): Promise<void> | void;

  /** Writes what has ended, and claims and executes what is due. */
  protected abstract cycle(): Promise<void>;

  /** When the next cycle has something to do, in epoch ms. */
  protected abstract nextDueAt(): number;

  /** Takes a slot for a claimed job. */
  protected abstract slotFor(job: ClaimedJob): Slot;

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

  protected wake(): void {
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
        await this.buryDead();
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

  private sleep(): void {
    if (this.state !== 'running') return;
    const dueAt = this.nextDueAt();
    if (dueAt === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(() => this.wake(), Math.min(MAX_SLEEP_MS, Math.max(0, dueAt - Date.now())));
  }

  private async buryDead(): Promise<void> {
    for (let death = this.deaths[0]; death; death = this.deaths[0]) {
      await this.bury(death);
      this.deaths.shift();
    }
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

  protected execute(job: ClaimedJob): JobExecution {
    const type = this.registry.find(job.type) as RegisteredJobType;
    const slot = this.slotFor(job);
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

  /** Ends the attempts that ended processes were in the middle of: they run again at once, or were one too many. */
  protected async takeOver(): Promise<void> {
    const now = Date.now();
    const deaths = await this.store.transaction(async (tx) => {
      const abandoned = await this.store.findAbandoned(tx);
      if (abandoned.length === 0) return [];
      await this.store.chargeCrash(
        tx,
        abandoned.filter(({ type }) => this.registry.find(type)),
      );
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
