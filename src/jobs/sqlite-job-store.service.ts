import { In, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { lowestIdAt } from '../common/time-ids.js';
import {
  isSuspect,
  withFailure,
  type ClaimedJob,
  type DueLane,
  type Lane,
  type NewJob,
  type Outcome,
} from './job-records.js';
import { JobStore } from './job-store.service.js';
import { CLAIMABLE, JobRow, LIVE, SUSPECT } from './job.entity.js';
import type { FailedAttempt } from './job-types.js';

/** Rows removed in one unit of work, so that no other writer waits long. */
const REMOVAL_BATCH = 1000;

const OF_TYPES = `type IN (SELECT value FROM json_each(?))`;
const LANE = `type = ? AND groupKey = ? AND priority = ?`;

/**
 * The table of jobs on SQLite: every statement that touches it.
 *
 * Whole batches travel as one JSON text per statement: at 20,000 jobs a second the round trips are what costs.
 */
export class SqliteJobStore extends JobStore {
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

  async waitingTypes(): Promise<string[]> {
    return [...new Set((await this.lanes()).map(({ type }) => type))];
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

  async chargeCrash(tx: EntityManager, jobs: readonly ClaimedJob[]): Promise<void> {
    const types = [...new Set(jobs.map(({ type }) => type))];
    await tx.increment(JobRow, { state: 'processing', type: In(types) }, 'crashes', 1);
  }

  async livePayloads(type: string, group: string): Promise<unknown[]> {
    const ofGroup = 'SELECT payload FROM jobs WHERE type = ? AND groupKey = ?';
    // Each part by its own index.
    const sql = `${ofGroup} AND ${CLAIMABLE} UNION ALL ${ofGroup} AND ${SUSPECT} UNION ALL ${ofGroup} AND state = 'processing'`;
    const rows = await this.database.reader.query<{ payload: string }[]>(sql, [type, group, type, group, type, group]);
    return rows.map(({ payload }) => JSON.parse(payload) as unknown);
  }

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

  async removeGroup(type: string, group: string): Promise<void> {
    await this.database.enlist((tx) =>
      tx.query(`DELETE FROM jobs WHERE type = ? AND groupKey = ? AND state IN ('pending', 'failed')`, [type, group]),
    );
  }

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
}
