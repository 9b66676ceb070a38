import { In, type EntityManager } from 'typeorm';
import { sqlFor } from '../database/sql.js';
import type { JobDatabase } from './job-database.service.js';
import { JobRow } from './job.entity.js';
import type { ClaimedJob, DueLane, NewJob, Outcome } from './job-records.js';
import { JOB_STATES, type JobState } from './job-types.js';

/**
 * The jobs as the database has them: what is read of them is the same for every database, what is written is not.
 *
 * Looked at before this was written (npm, 2026): BullMQ and bee-queue need Redis, Agenda MongoDB, graphile-worker and
 * pg-boss PostgreSQL (Herald uses pg-boss there); plainjob, liteque, sidequest and better-queue-sqlite run on SQLite,
 * but through connections of their own, so that a job could not commit with the change that caused it; fastq and
 * p-queue forget everything with the process.
 */
export abstract class JobStore {
  private readonly listeners = new Set<(lanes: DueLane[]) => void>();

  constructor(protected readonly database: JobDatabase) {}

  /** Adds jobs of one type with the caller's unit of work and returns their ids; one whose unique key is held adds nothing. */
  abstract add(jobs: readonly NewJob[]): Promise<string[]>;

  /** Adds a job with the caller's unit of work, unless its unique key is held. Returns its id, or the holder's. */
  abstract addUnlessHeld(job: NewJob): Promise<string>;

  /** Writes how attempts ended, where they still hold their lease. Returns how many did. */
  abstract settle(tx: EntityManager, outcomes: readonly Outcome[], now: number): Promise<number>;

  /** Completes a claimed job with the caller's unit of work. Calls `onLost` when it no longer holds its lease. */
  abstract complete(job: ClaimedJob, onCommitted: () => void, onLost: () => never): Promise<void>;

  /** Returns the jobs in the middle of an attempt whose process has ended. */
  abstract findAbandoned(tx: EntityManager): Promise<ClaimedJob[]>;

  /** Counts a crash against abandoned jobs. */
  abstract chargeCrash(tx: EntityManager, jobs: readonly ClaimedJob[]): Promise<void>;

  /** Returns the payloads of the jobs of a group that wait or run. */
  abstract livePayloads(type: string, group: string): Promise<unknown[]>;

  /**
   * Lets dead jobs run again at once, with all their attempts before them; their history stays. A job whose unique key
   * another one holds by now stays dead.
   *
   * @returns how many there were.
   */
  abstract revive(which: { id: string } | { type: string }, now: number): Promise<number>;

  /** Makes a failed job's next attempt due at once. Returns whether it was failed. */
  abstract hurry(id: string, now: number): Promise<boolean>;

  /** Removes a job that waits or is dead. Returns whether it was there. */
  abstract remove(tx: EntityManager, id: string): Promise<boolean>;

  /** Removes, with the caller's unit of work, every job of a group that waits. */
  abstract removeGroup(type: string, group: string): Promise<void>;

  /** Removes jobs that ended in `state` before `before` (epoch ms). Returns how many. */
  abstract removeEnded(state: 'completed' | 'dead', before: number): Promise<number>;

  /** Calls `listener` after every commit that made jobs claimable. */
  onDue(listener: (lanes: DueLane[]) => void): void {
    this.listeners.add(listener);
  }

  /** Runs `work` in one transaction of the table. */
  transaction<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.database.units.run(work);
  }

  /** Returns the types of which a job waits. */
  abstract waitingTypes(): Promise<string[]>;

  /** Returns how many jobs there are in each state. */
  async countByState(): Promise<Record<JobState, number>> {
    const sql = `SELECT state, COUNT(*) AS count FROM jobs GROUP BY state`;
    const rows = await this.read<{ state: JobState; count: number }>(sql);
    const counts = new Map(rows.map(({ state, count }) => [state, count]));
    return Object.fromEntries(JOB_STATES.map((state) => [state, counts.get(state) ?? 0])) as Record<JobState, number>;
  }

  /** Returns the types with the most dead jobs. */
  async countDead(limit: number): Promise<{ type: string; count: number }[]> {
    const sql = `SELECT type, COUNT(*) AS count FROM jobs WHERE state = 'dead' GROUP BY type ORDER BY 2 DESC LIMIT ?`;
    return this.read(sql, [limit]);
  }

  /** Returns how many jobs of each type there are in each state; those of which there are none are left out. */
  async countByType(): Promise<{ type: string; state: JobState; count: number }[]> {
    return this.read(`SELECT type, state, COUNT(*) AS count FROM jobs GROUP BY type, state`);
  }

  /** Lists jobs, the newest first, without their payloads. */
  async list(filter: {
    state?: JobState | undefined;
    type?: string | undefined;
    beforeId?: string | undefined;
    limit: number;
  }): Promise<JobRow[]> {
    const query = this.database.reader.createQueryBuilder(JobRow, 'job').orderBy('job.id', 'DESC').limit(filter.limit);
    if (filter.state) query.andWhere({ state: filter.state });
    if (filter.type !== undefined) query.andWhere({ type: filter.type });
    if (filter.beforeId !== undefined) query.andWhere('job.id < :before', { before: filter.beforeId });
    return query.getMany();
  }

  /** Returns those of some events that are the reason for a job of a type. */
  async eventsWith(type: string, eventIds: readonly string[]): Promise<Set<string>> {
    const rows = await this.database.reader.find(JobRow, {
      select: { id: true, eventId: true },
      where: { type, eventId: In(eventIds) },
    });
    return new Set(rows.flatMap(({ eventId }) => eventId ?? []));
  }

  /** Returns, in order, the next `limit` events past `afterId` that are the reason for a job. */
  async reasonsAfter(afterId: string, limit: number): Promise<string[]> {
    const sql = `SELECT DISTINCT "eventId" FROM jobs WHERE "eventId" > ? ORDER BY 1 LIMIT ?`;
    const rows = await this.read<{ eventId: string }>(sql, [afterId, limit]);
    return rows.map(({ eventId }) => eventId);
  }

  /** Returns the jobs that an event is the reason for, oldest first. */
  async ofEvent(eventId: string): Promise<JobRow[]> {
    return this.database.reader.find(JobRow, { where: { eventId }, order: { id: 'ASC' } });
  }

  async find(id: string): Promise<JobRow | undefined> {
    return (await this.database.reader.findOneBy(JobRow, { id })) ?? undefined;
  }

  /** Tells the listeners once the current unit has committed. */
  protected tell(lanes: DueLane[]): void {
    if (lanes.length === 0) return;
    this.database.units.afterCommit(() => this.listeners.forEach((listener) => listener(lanes)));
  }

  private read<T extends object>(sql: string, parameters: unknown[] = []): Promise<T[]> {
    const { reader } = this.database;
    return reader.query<T[]>(sqlFor(reader.connection, sql), parameters);
  }
}
