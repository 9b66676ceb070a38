import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { EventTraces } from '../events/event-traces.service.js';
import type { JobRow } from './job.entity.js';
import { currentReason } from './job-reason.js';
import { JobRegistry } from './job-registry.service.js';
import type { NewJob } from './job-records.js';
import { JobStore } from './job-store.service.js';
import type { JobOptions, JobState, JobType, JobTypes } from './job-types.js';

const DAY_MS = 86_400_000;
const MAX_DELAY_MS = 3650 * DAY_MS;

/** How many jobs of a type there are in each state. */
export type JobTypeStats = { type: string } & Record<JobState, number>;

/** Work that must happen: submit it here with the change that causes it, handle it with `@JobHandler`. */
@Injectable()
export class JobQueue implements OnModuleInit {
  private readonly logger = new Logger(JobQueue.name);

  constructor(
    private readonly store: JobStore,
    private readonly registry: JobRegistry,
    private readonly config: Config,
    private readonly housekeeping: Housekeeping,
    private readonly trail: AuditTrail,
    private readonly traces: EventTraces,
  ) {}

  onModuleInit(): void {
    this.housekeeping.register('jobs', () => this.removeOld(Date.now()));
    this.traces.add('jobs', async (eventId) => (await this.ofEvent(eventId)).map(toTrace));
  }

  /**
   * Submits a job with the caller's unit of work, or in one of its own outside of one: it exists if, and only if, that
   * commits. It starts right after, unless `delayMs` says otherwise.
   *
   * @returns the job's id; with a `uniqueKey` that is held, the id of the job that holds it.
   * @throws TypeError for a type that no module declares, an option out of range, or a payload that is not JSON.
   */
  async submit<T extends JobType>(type: T, payload: JobTypes[T], options: JobOptions = {}): Promise<string> {
    const job = this.toNewJob(type, payload, options);
    if (options.uniqueKey !== undefined) return this.store.addUnlessHeld(job);
    const [id = ''] = await this.store.add([job]);
    return id;
  }

  /** Submits many jobs of one type in one statement. @returns their ids. @throws TypeError as {@link submit} */
  async submitAll<T extends JobType>(
    type: T,
    jobs: readonly { payload: JobTypes[T]; options?: JobOptions }[],
  ): Promise<string[]> {
    return this.submitUnchecked(type, jobs);
  }

  /** Submits jobs whose type is known at run time only. */
  async submitUnchecked(type: string, jobs: readonly { payload: unknown; options?: JobOptions }[]): Promise<string[]> {
    return this.store.add(jobs.map(({ payload, options }) => this.toNewJob(type, payload, options)));
  }

  private toNewJob(type: string, payload: unknown, options: JobOptions = {}): NewJob {
    const registered = this.registry.find(type);
    if (!registered) throw new TypeError(`No module declares the job type "${type}"`);
    const { delayMs = 0, uniqueKey = null, group = '', priority = registered.options.priority } = options;
    const { eventId = currentReason() ?? null } = options;
    if (!(delayMs >= 0 && delayMs <= MAX_DELAY_MS)) throw new TypeError(`delayMs is not between 0 and 3650 days`);
    if (!Number.isSafeInteger(priority)) throw new TypeError('priority is not a whole number');
    const text = JSON.stringify(payload) as string | undefined;
    if (text === undefined) throw new TypeError(`The payload of a "${type}" job is not JSON`);
    return { type, group, priority, payload: text, runAt: Date.now() + Math.ceil(delayMs), uniqueKey, eventId };
  }

  /** Removes, with the caller's unit of work, the waiting jobs of a group. The handler of dead jobs is not called. */
  async discardGroup(type: JobType, group: string): Promise<void> {
    await this.store.removeGroup(type, group);
  }

  /** Returns how many jobs there are in each of the five states. */
  stats(): Promise<Record<JobState, number>> {
    return this.store.countByState();
  }

  /** Returns the types with the most dead jobs. */
  deadByType(limit: number): Promise<{ type: string; count: number }[]> {
    return this.store.countDead(limit);
  }

  /** Returns how many there are of each type: those that modules declare, and those that jobs are left of. */
  async statsByType(): Promise<JobTypeStats[]> {
    const names = this.registry.all().map(({ name }) => name);
    const stats = new Map(names.map((type) => [type, noJobs(type)]));
    for (const { type, state, count } of await this.store.countByType()) {
      const ofType = stats.get(type) ?? noJobs(type);
      ofType[state] = count;
      stats.set(type, ofType);
    }
    return [...stats.values()].toSorted((a, b) => (a.type < b.type ? -1 : 1));
  }

  /** Lists jobs, the newest first. */
  list(filter: Parameters<JobStore['list']>[0]): Promise<JobRow[]> {
    return this.store.list(filter);
  }

  /** Returns the jobs that an event is the reason for, oldest first. */
  ofEvent(eventId: string): Promise<JobRow[]> {
    return this.store.ofEvent(eventId);
  }

  /** Returns the payloads of the jobs of a group that wait or run. */
  async livePayloads<T extends JobType>(type: T, group: string): Promise<JobTypes[T][]> {
    return (await this.store.livePayloads(type, group)) as JobTypes[T][];
  }

  /** @throws AppError NOT_FOUND */
  async get(id: string): Promise<JobRow> {
    const job = await this.store.find(id);
    if (!job) throw new AppError('NOT_FOUND', 'There is no such job');
    return job;
  }

  /**
   * Lets a dead job run again with all its attempts before it, or a failed one without waiting any longer.
   *
   * @throws AppError NOT_FOUND; CONFLICT for a job in another state, or whose unique key another job holds.
   */
  async retry(id: string): Promise<JobRow> {
    const job = await this.get(id);
    await this.store.transaction(async () => {
      if ((await this.store.revive({ id }, Date.now())) === 0 && !(await this.store.hurry(id, Date.now()))) {
        const message =
          job.state === 'dead'
            ? 'Another job holds its unique key: retry this one once that is done'
            : `The job is ${job.state}: only dead and failed jobs can be retried`;
        throw new AppError('CONFLICT', message, [{ code: 'JOB_STATE', message }]);
      }
      await this.trail.record('job.retried', { subject: id, details: { type: job.type } });
    });
    return this.get(id);
  }

  /** Lets every dead job of a type run again. @returns how many. @throws AppError VALIDATION for an unknown type. */
  async redrive(type: string): Promise<number> {
    if (!this.registry.find(type)) {
      const names = this.registry.all().map(({ name }) => name);
      const message = `"${type.slice(0, 64)}" is not a job type. Valid names: ${names.join(', ')}`;
      throw new AppError('VALIDATION', message, [{ field: 'type', code: 'JOB_TYPE_UNKNOWN', message }]);
    }
    return this.store.transaction(async () => {
      const redriven = await this.store.revive({ type }, Date.now());
      await this.trail.record('job.redriven', { subject: type, details: { redriven } });
      return redriven;
    });
  }

  /**
   * Removes a job that waits or is dead for good.
   *
   * @throws AppError NOT_FOUND; CONFLICT for a job that is running or completed.
   */
  async discard(id: string): Promise<void> {
    const job = await this.get(id);
    await this.store.transaction(async (tx) => {
      if (!(await this.store.remove(tx, id))) {
        const { state } = await this.get(id);
        const message = `The job is ${state}: only one that waits or is dead can be discarded`;
        throw new AppError('CONFLICT', message, [{ code: 'JOB_STATE', message }]);
      }
      if (job.state !== 'dead') await this.registry.find(job.type)?.onDead?.(job.payload, 'Discarded by an admin');
      await this.trail.record('job.discarded', {
        subject: id,
        details: { type: job.type, state: job.state, eventId: job.eventId },
      });
    });
  }

  private async removeOld(now: number): Promise<void> {
    const completed = await this.store.removeEnded('completed', now - this.config.JOBS_RETENTION_DAYS * DAY_MS);
    const dead = await this.store.removeEnded('dead', now - this.config.EVENTS_RETENTION_DAYS * DAY_MS);
    if (completed + dead > 0) this.logger.log(`removed ${completed} completed and ${dead} dead jobs that were old`);
  }
}

function noJobs(type: string): JobTypeStats {
  return { type, pending: 0, processing: 0, completed: 0, failed: 0, dead: 0 };
}

/** A job as an event's trace tells of it; times in epoch ms. */
function toTrace({ id, type, state, attempts, createdAt, finishedAt, history }: JobRow): Record<string, unknown> {
  return { id, type, status: state, attempts, createdAt, finishedAt, failures: history ?? [] };
}
