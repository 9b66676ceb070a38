import { Injectable } from '@nestjs/common';
import { In, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { lowestIdAt } from '../common/time-ids.js';
import { JobDatabase } from './job-database.service.js';
import { CLAIMABLE, JobRow, LIVE, SUSPECT } from './job.entity.js';
import { JOB_STATES, type FailedAttempt, type JobState } from './job-types.js';

/** A queue within the queue: jobs that compete with nobody but each other, in the order of `runAt`. */
export interface Lane {
  type: string;
  group: string;
  priority: number;
}

/** A lane and the time at which its next job is due, in epoch ms. */
export interface DueLane extends Lane {
  dueAt: number;
  /** Set for a job that is claimed alone. */
  suspect?: boolean;
}

/** A job as it is submitted. */
export interface NewJob extends Lane {
  /** JSON text. */
  payload: string;
  runAt: number;
  uniqueKey: string | null;
  eventId: string | null;
}

/** A job that this process has claimed. */
export interface ClaimedJob extends Lane {
  id: string;
  lease: string;
  payload: unknown;
  eventId: string | null;
  attempt: number;
  crashes: number;
  /** When it was due, and when it was claimed. */
  runAt: number;
  startedAt: number;
  history: FailedAttempt[];
}

/** How an attempt ended. */
export interface Outcome {
  job: ClaimedJob;
  /** `returned`: it never ran to its end and is not counted. */
  end: 'completed' | 'failed' | 'dead' | 'returned';
  /** When to run again, for `failed` and `returned`. */
  runAt?: number;
  error?: string;
}

/** How many of the latest failed attempts a job remembers. */
const MAX_HISTORY = 50;
/** Rows removed in one unit of work, so that no other writer waits long. */
const REMOVAL_BATCH = 1000;

const OF_TYPES = `type IN (SELECT value FROM json_each(?))`;
const LANE = `type = ? AND groupKey = ? AND priority = ?`;

/**
 * The table of jobs: every statement that touches it.
 *
 * Looked at before this was written (npm, 2026): BullMQ and bee-queue need Redis, Agenda MongoDB, graphile-worker and
 * pg-boss PostgreSQL (Herald uses pg-boss there); plainjob, liteque, sidequest and better-queue-sqlite run on SQLite,
 * but through connections of their own, so that a job could not commit with the change that caused it; fastq and
 * p-queue forget everything with the process.
 *
 * Whole batches travel as one JSON text per statement: at 20,000 jobs a second the round trips are what costs.
 */
@Injectable()
export class JobStore {
  private readonly listeners = new Set<(lanes: DueLane[]) => void>();

  constructor(private readonly database: JobDatabase) {}

  /** Calls `listener` after every commit that made jobs claimable. */
  onDue(listener: (lanes: DueLane[]) => void): void {
    this.listeners.add(listener);
  }

  /** Runs `work` in one transaction of the table. */
  transaction<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.database.units.run(work);
  }

  /** Adds jobs with the caller's unit of work and returns their ids; one whose unique key is held adds nothing. */
  async add(jobs: readonly NewJob[]): Promise<string[]> {
    const createdAt = Date.now();
    const rows = jobs.map((job) => ({ ...job, id: uuidv7() }));
    await this.database.enlist(async (tx) => {
      await tx.query(
        `INSERT INTO jobs (id, type, groupKey, priority, uniqueKey, eventId, runAt, payload, createdAt, state, attempts, crashes)
         SELECT value->>'id', value->>'type', value->>'group', value->>'priority', value->>'uniqueKey', value->>'eventId',
                value->>'runAt', value->>'payload', ?, 'pending', 0, 0
         FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`,
        [createdAt, JSON.stringify(rows)],
      );
      this.tell(jobs.map(({ type, group, priority, runAt }) => ({ type, group, priority, dueAt: runAt })));
    });
    return rows.map(({ id }) => id);
  }

  /** Adds a job with the caller's unit of work, unless its unique key is held. Returns its id, or the holder's. */
  async addUnlessHeld(job: NewJob): Promise<string> {
    return this.database.look(async (tx) => {
      const sql = `SELECT id FROM jobs WHERE type = ? AND uniqueKey = ? AND ${LIVE}`;
      const [holder] = await tx.query<{ id: string }[]>(sql, [job.type, job.uniqueKey]);
      const [id = ''] = holder ? [holder.id] : await this.add([job]);
      return id;
    });
  }

  /** Returns every lane in which a job waits. */
  async lanes(): Promise<DueLane[]> {
    return this.database.reader.query<DueLane[]>(
      `SELECT type, groupKey AS "group", priority, MIN(runAt) AS dueAt FROM jobs WHERE ${CLAIMABLE} GROUP BY 1, 2, 3`,
    );
  }

  /** Returns when the next job of a lane is due, if one waits. */
  async nextDue(tx: EntityManager, { type, group, priority }: Lane): Promise<number | undefined> {
    const sql = `SELECT MIN(runAt) AS dueAt FROM jobs WHERE ${LANE} AND ${CLAIMABLE}`;
    const [row] = await tx.query<{ dueAt: number | null }[]>(sql, [type, group, priority]);
    return row?.dueAt ?? undefined;
  }

  /** Returns when the next suspect of some types is due; never, when there is none. */
  async nextSuspectDue(tx: EntityManager, types: string[]): Promise<number> {
    const sql = `SELECT MIN(runAt) AS dueAt FROM jobs WHERE ${SUSPECT} AND ${OF_TYPES}`;
    const [row] = await tx.query<{ dueAt: number | null }[]>(sql, [JSON.stringify(types)]);
    return row?.dueAt ?? Number.POSITIVE_INFINITY;
  }

  /** Claims up to `limit` due jobs of a lane. */
  async claim(tx: EntityManager, lane: Lane, limit: number, now: number): Promise<ClaimedJob[]> {
    const due = `SELECT id FROM jobs WHERE ${LANE} AND runAt <= ? AND ${CLAIMABLE} ORDER BY runAt, id LIMIT ?`;
    return this.claimWhere(tx, `id IN (${due})`, [lane.type, lane.group, lane.priority, now, limit], now);
  }

  /** Claims the due suspect that has seen the fewest crashes. */
  async claimSuspect(tx: EntityManager, types: string[], now: number): Promise<ClaimedJob | undefined> {
    const due = `SELECT id FROM jobs WHERE ${SUSPECT} AND ${OF_TYPES} AND runAt <= ? ORDER BY crashes, runAt LIMIT 1`;
    const [job] = await this.claimWhere(tx, `id = (${due})`, [JSON.stringify(types), now], now);
    return job;
  }

  private async claimWhere(
    tx: EntityManager,
    condition: string,
    parameters: unknown[],
    now: number,
  ): Promise<ClaimedJob[]> {
    interface Row extends Omit<ClaimedJob, 'payload' | 'history'> {
      payload: string;
      history: string | null;
    }
    const lease = uuidv7();
    const rows = await tx.query<Row[]>(
      `UPDATE jobs SET state = 'processing', attempts = attempts + 1, lease = ?, startedAt = ? WHERE ${condition}
       RETURNING id, type, groupKey AS "group", priority, runAt, lease, payload, eventId,
         attempts AS attempt, crashes, history`,
      [lease, now, ...parameters],
    );
    // RETURNING promises no order.
    rows.sort((a, b) => a.runAt - b.runAt || (a.id < b.id ? -1 : 1));
    return rows.map((row) => ({
      ...row,
      startedAt: now,
      payload: JSON.parse(row.payload) as unknown,
      history: row.history === null ? [] : (JSON.parse(row.history) as FailedAttempt[]),
    }));
  }

  /** Writes how attempts ended, where they still hold their lease. Returns how many did. */
  async settle(tx: EntityManager, outcomes: readonly Outcome[], now: number): Promise<number> {
    const rows = outcomes.map(({ job, end, runAt, error }) => ({
      id: job.id,
      lease: job.lease,
      state: end === 'returned' ? (job.attempt > 1 ? 'failed' : 'pending') : end,
      runAt,
      attempts: end === 'returned' ? job.attempt - 1 : job.attempt,
      finishedAt: end === 'completed' || end === 'dead' ? now : null,
      history: error === undefined ? undefined : JSON.stringify(withFailure(job, error)),
    }));
    const settled = await tx.query<unknown[]>(
      `UPDATE jobs SET state = o.value->>'state', attempts = o.value->>'attempts', lease = NULL,
         finishedAt = o.value->>'finishedAt', runAt = COALESCE(o.value->>'runAt', jobs.runAt),
         history = COALESCE(o.value->>'history', jobs.history)
       FROM json_each(?) AS o WHERE jobs.id = o.value->>'id' AND jobs.lease = o.value->>'lease'
       RETURNING 1`,
      [JSON.stringify(rows)],
    );
    return settled.length;
  }

  /** Completes a claimed job with the caller's unit of work. Returns whether it still held its lease. */
  async complete(job: ClaimedJob, onCommitted: () => void, onLost: () => never): Promise<void> {
    await this.database.enlist(async (tx) => {
      const { affected } = await tx.update(
        JobRow,
        { id: job.id, lease: job.lease },
        { state: 'completed', lease: null, finishedAt: Date.now() },
      );
      if (!affected) onLost();
      this.database.units.afterCommit(onCommitted);
    });
  }

  /** Returns the jobs that the previous process left in the middle of an attempt. */
  async findAbandoned(tx: EntityManager): Promise<ClaimedJob[]> {
    const rows = await tx.findBy(JobRow, { state: 'processing' });
    return rows.map((row) => ({
      id: row.id,
      type: row.type,
      group: row.groupKey,
      priority: row.priority,
      lease: row.lease ?? '',
      payload: row.payload,
      eventId: row.eventId,
      attempt: row.attempts,
      crashes: row.crashes,
      runAt: row.runAt,
      startedAt: row.startedAt ?? row.createdAt,
      history: row.history ?? [],
    }));
  }

  /** Counts a crash against the jobs of some types that were running. */
  async chargeCrash(tx: EntityManager, types: string[]): Promise<void> {
    await tx.increment(JobRow, { state: 'processing', type: In(types) }, 'crashes', 1);
  }

  /** Returns how many jobs there are in each state. */
  async countByState(): Promise<Record<JobState, number>> {
    const sql = `SELECT state, COUNT(*) AS count FROM jobs GROUP BY state`;
    const rows = await this.database.reader.query<{ state: JobState; count: number }[]>(sql);
    const counts = new Map(rows.map(({ state, count }) => [state, count]));
    return Object.fromEntries(JOB_STATES.map((state) => [state, counts.get(state) ?? 0])) as Record<JobState, number>;
  }

  /** Returns the types with the most dead jobs. */
  async countDead(limit: number): Promise<{ type: string; count: number }[]> {
    const sql = `SELECT type, COUNT(*) AS count FROM jobs WHERE state = 'dead' GROUP BY type ORDER BY 2 DESC LIMIT ?`;
    return this.database.reader.query(sql, [limit]);
  }

  /** Returns how many jobs of each type there are in each state; those of which there are none are left out. */
  async countByType(): Promise<{ type: string; state: JobState; count: number }[]> {
    return this.database.reader.query(`SELECT type, state, COUNT(*) AS count FROM jobs GROUP BY type, state`);
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
    const sql = `SELECT eventId FROM jobs WHERE type = ? AND eventId IN (SELECT value FROM json_each(?))`;
    const rows = await this.database.reader.query<{ eventId: string }[]>(sql, [type, JSON.stringify(eventIds)]);
    return new Set(rows.map(({ eventId }) => eventId));
  }

  /** Returns the payloads of the jobs of a group that wait or run. */
  async livePayloads(type: string, group: string): Promise<unknown[]> {
    const ofGroup = 'SELECT payload FROM jobs WHERE type = ? AND groupKey = ?';
    // Each part by its own index.
    const sql = `${ofGroup} AND ${CLAIMABLE} UNION ALL ${ofGroup} AND ${SUSPECT} UNION ALL ${ofGroup} AND state = 'processing'`;
    const rows = await this.database.reader.query<{ payload: string }[]>(sql, [type, group, type, group, type, group]);
    return rows.map(({ payload }) => JSON.parse(payload) as unknown);
  }

  /** Returns, in order, the next `limit` events past `afterId` that are the reason for a job. */
  async reasonsAfter(afterId: string, limit: number): Promise<string[]> {
    const sql = `SELECT DISTINCT eventId FROM jobs WHERE eventId > ? ORDER BY eventId LIMIT ?`;
    const rows = await this.database.reader.query<{ eventId: string }[]>(sql, [afterId, limit]);
    return rows.map(({ eventId }) => eventId);
  }

  /** Returns the jobs that an event is the reason for, oldest first. */
  async ofEvent(eventId: string): Promise<JobRow[]> {
    return this.database.reader.find(JobRow, { where: { eventId }, order: { id: 'ASC' } });
  }

  async find(id: string): Promise<JobRow | undefined> {
    return (await this.database.reader.findOneBy(JobRow, { id })) ?? undefined;
  }

  /**
   * Lets dead jobs run again at once, with all their attempts before them; their history stays. A job whose unique key
   * another one holds by now stays dead.
   *
   * @returns how many there were.
   */
  async revive(which: { id: string } | { type: string }, now: number): Promise<number> {
    const [column, value] = 'id' in which ? ['id', which.id] : ['type', which.type];
    return this.transaction(async (tx) => {
      const lanes = await tx.query<Lane[]>(
        `UPDATE OR IGNORE jobs SET state = 'pending', runAt = ?, attempts = 0, crashes = 0, finishedAt = NULL
         WHERE state = 'dead' AND ${column} = ? RETURNING type, groupKey AS "group", priority`,
        [now, value],
      );
      this.tell(lanes.map((lane) => ({ ...lane, dueAt: now })));
      return lanes.length;
    });
  }

  /** Makes a failed job's next attempt due at once. Returns whether it was failed. */
  async hurry(id: string, now: number): Promise<boolean> {
    return this.transaction(async (tx) => {
      const lanes = await tx.query<(Lane & { crashes: number })[]>(
        `UPDATE jobs SET runAt = ? WHERE state = 'failed' AND id = ?
         RETURNING type, groupKey AS "group", priority, crashes`,
        [now, id],
      );
      this.tell(lanes.map(({ crashes, ...lane }) => ({ ...lane, dueAt: now, suspect: isSuspect({ crashes }) })));
      return lanes.length > 0;
    });
  }

  /** Removes a job that waits or is dead. Returns whether it was there. */
  async remove(tx: EntityManager, id: string): Promise<boolean> {
    const { affected } = await tx
      .createQueryBuilder()
      .delete()
      .from(JobRow)
      .where({ id })
      .andWhere(`state IN ('pending', 'failed', 'dead')`)
      .execute();
    return affected === 1;
  }

  /** Removes, with the caller's unit of work, every job of a group that waits. */
  async removeGroup(type: string, group: string): Promise<void> {
    await this.database.enlist((tx) =>
      tx.query(`DELETE FROM jobs WHERE type = ? AND groupKey = ? AND state IN ('pending', 'failed')`, [type, group]),
    );
  }

  /** Removes jobs that ended in `state` before `before` (epoch ms). Returns how many. */
  async removeEnded(state: 'completed' | 'dead', before: number): Promise<number> {
    // What ended before then was also submitted before then, and its id tells: no index on the time is needed.
    const firstLaterId = lowestIdAt(before);
    const candidates = `SELECT id FROM jobs WHERE state = ? AND id < ? AND finishedAt < ? LIMIT ${REMOVAL_BATCH}`;
    let total = 0;
    for (let removed = REMOVAL_BATCH; removed === REMOVAL_BATCH; total += removed) {
      removed = await this.transaction(async (tx) => {
        const rows = await tx.query<unknown[]>(`DELETE FROM jobs WHERE id IN (${candidates}) RETURNING 1`, [
          state,
          firstLaterId,
          before,
        ]);
        return rows.length;
      });
    }
    return total;
  }

  /** Tells the listeners once the current unit has committed. */
  private tell(lanes: DueLane[]): void {
    if (lanes.length === 0) return;
    this.database.units.afterCommit(() => this.listeners.forEach((listener) => listener(lanes)));
  }
}

/** Says whether a job is claimed alone, because it ran in two crashes. */
export function isSuspect({ crashes }: { crashes: number }): boolean {
  return crashes >= 2;
}

function withFailure({ history, attempt, startedAt }: ClaimedJob, error: string): FailedAttempt[] {
  return [...history, { attempt, at: startedAt, error }].slice(-MAX_HISTORY);
}
