import type { EntityManager } from 'typeorm';
import { rowsWritten } from '../database/sql.js';
import { isSuspect, withFailure, type ClaimedJob, type Lane, type Outcome } from './job-records.js';
import type { FailedAttempt } from './job-types.js';

/** Names the definition below: another one is another name. */
const VERSION = 'herald 1';
const STATE = `CASE state
  WHEN 'created' THEN 'pending' WHEN 'retry' THEN 'failed' WHEN 'active' THEN 'processing'
  WHEN 'completed' THEN 'completed' WHEN 'failed' THEN 'dead' ELSE 'cancelled' END`;
const EVENT = `(data->>'eventId') COLLATE "C"`;
const UNCOUNTED = `COALESCE((data->>'uncounted')::int, 0)`;
const CRASHES = `COALESCE((data->>'crashes')::int, 0)`;
const ATTEMPTS = `CASE WHEN started_on IS NULL THEN 0 ELSE retry_count + 1 - ${UNCOUNTED} END`;
const epochMs = (column: string): string => `(EXTRACT(EPOCH FROM ${column}) * 1000)::bigint`;

/** The jobs of pg-boss under the names that the table of jobs has on SQLite, and what finds them. */
const VIEW = [
  `CREATE OR REPLACE VIEW jobs AS SELECT
     id, name AS type, COALESCE(group_id, '') AS "groupKey", NULLIF(singleton_key, id::text) AS "uniqueKey",
     ${STATE} AS state, priority, ${epochMs('start_after')} AS "runAt", ${ATTEMPTS} AS attempts, ${CRASHES} AS crashes,
     CASE WHEN state = 'active' THEN retry_count::text END AS lease, data->>'payload' AS payload, ${EVENT} AS "eventId",
     data->>'history' AS history, ${epochMs('created_on')} AS "createdAt", ${epochMs('started_on')} AS "startedAt",
     ${epochMs('completed_on')} AS "finishedAt"
   FROM pgboss.job`,
  `CREATE INDEX IF NOT EXISTS herald_job_by_id ON pgboss.job (id)`,
  `CREATE INDEX IF NOT EXISTS herald_job_by_state ON pgboss.job ((${STATE}), id)`,
  `CREATE INDEX IF NOT EXISTS herald_job_by_event ON pgboss.job ((${EVENT})) WHERE (${EVENT}) IS NOT NULL`,
  `COMMENT ON VIEW jobs IS '${VERSION}'`,
];

/** What pg-boss keeps of a job in `data`. JSON texts stay texts: jsonb knows neither U+0000 nor the order of keys. */
export interface BossData {
  payload: string;
  eventId: string | null;
  /** {@link FailedAttempt}s, oldest first. */
  history?: string;
  crashes?: number;
  /** Claims that are no attempts: given back, or made before the job was revived. */
  uncounted?: number;
}

/** A job that is active, as a statement returns it. */
interface ActiveRow {
  id: string;
  name: string;
  groupId?: string | null;
  priority: number;
  data: BossData;
  retryCount: number;
  startAfter: Date;
  startedOn: Date;
}

/** Returns a row of pg-boss as the job that it is a claim of. Its `retry_count` rises with each claim: that is the lease. */
export function toClaimed(row: ActiveRow): ClaimedJob {
  const { payload, eventId, history, crashes = 0, uncounted = 0 } = row.data;
  return {
    id: row.id,
    type: row.name,
    group: row.groupId ?? '',
    priority: row.priority,
    lease: String(row.retryCount),
    payload: JSON.parse(payload) as unknown,
    eventId,
    attempt: row.retryCount + 1 - uncounted,
    crashes,
    runAt: row.startAfter.getTime(),
    startedAt: row.startedOn.getTime(),
    history: history === undefined ? [] : (JSON.parse(history) as FailedAttempt[]),
  };
}

/**
 * The statements on pg-boss's table for which pg-boss has no call.
 *
 * - **Failed, dead and returned attempts** ({@link settle}): pg-boss retries after whole seconds by its own formula, and
 *   cannot be told a time of the caller's, that an attempt does not count, or that a job is dead before its last retry.
 * - **Lost attempts** ({@link findAbandoned}, {@link chargeCrash}): pg-boss counts them like failures, forgets when they
 *   began, and calls nobody when they were the last one.
 * - **When the next job is due** ({@link nextDue}): pg-boss only polls.
 * - **Revive, hurry, remove a group, remove what ended long ago**: pg-boss redrives from one queue into another, and
 *   deletes by age for completed and failed jobs alike.
 * - **Reading** ({@link createView}): lists and counts over every queue.
 *
 * Times are said relative to the server's clock, which all instances share.
 */
export class BossTable {
  /** Makes the view `jobs`, in a unit that has locked its name. */
  async createView(tx: EntityManager): Promise<void> {
    const [view] = await tx.query<{ version: string | null }[]>(
      `SELECT obj_description(to_regclass('jobs'), 'pg_class') AS version`,
    );
    if (view?.version === VERSION) return;
    for (const statement of VIEW) await tx.query(statement);
  }

  /** Returns the job that holds a unique key. */
  async findHolder(tx: EntityManager, type: string, uniqueKey: string): Promise<string | undefined> {
    const [holder] = await tx.query<{ id: string }[]>(
      `SELECT id FROM pgboss.job WHERE name = $1 AND COALESCE(singleton_key, '') = $2 AND state <= 'active'
         AND policy = 'exclusive'`,
      [type, uniqueKey],
    );
    return holder?.id;
  }

  /** Returns the payloads, as JSON texts, of the jobs of a group that wait or run. */
  async livePayloads(reader: EntityManager, type: string, group: string): Promise<string[]> {
    const rows = await reader.query<{ payload: string }[]>(
      `SELECT data->>'payload' AS payload FROM pgboss.job
       WHERE name = $1 AND state <= 'active' AND COALESCE(group_id, '') = $2`,
      [type, group],
    );
    return rows.map(({ payload }) => payload);
  }

  /** Writes how attempts ended other than by success, where they still hold their lease. Returns how many did. */
  async settle(tx: EntityManager, outcomes: readonly Outcome[]): Promise<number> {
    const now = Date.now();
    const rows = outcomes.map(({ job, end, runAt, error }) => ({
      id: job.id,
      name: job.type,
      claim: Number(job.lease),
      state: end === 'dead' ? 'failed' : end === 'returned' && job.attempt === 1 ? 'created' : 'retry',
      delay: runAt === undefined ? undefined : Math.max(0, runAt - now),
      patch: {
        ...(error !== undefined && { history: JSON.stringify(withFailure(job, error)) }),
        ...(end === 'returned' && { uncounted: Number(job.lease) + 2 - job.attempt }),
      },
    }));
    const settled = await rowsWritten(
      tx,
      `UPDATE pgboss.job SET state = o.state::pgboss.job_state, data = job.data || o.patch,
         start_after = COALESCE(clock_timestamp() + o.delay * interval '1 ms', start_after),
         completed_on = CASE WHEN o.state = 'failed' THEN clock_timestamp() END
       FROM json_to_recordset($1::json) AS o (id uuid, name text, claim int, state text, delay float8, patch jsonb)
       WHERE job.name = o.name AND job.id = o.id AND job.state = 'active' AND job.retry_count = o.claim
       RETURNING 1`,
      [JSON.stringify(rows)],
    );
    return settled.length;
  }

  /** Returns, for those of some types that wait for anything, in how many ms the next job is due; below 0 if it is. */
  async nextDue(tx: EntityManager, types: readonly string[]): Promise<{ type: string; inMs: number }[]> {
    // Each minimum by an index.
    const first = (state: string) =>
      `(SELECT MIN(start_after) FROM pgboss.job WHERE name = type AND state = '${state}' AND NOT blocked)`;
    return tx.query(
      `SELECT type, (EXTRACT(EPOCH FROM next - clock_timestamp()) * 1000)::float8 AS "inMs"
       FROM unnest($1::text[]) AS type, LATERAL (SELECT LEAST(${first('created')}, ${first('retry')}) AS next) AS waiting
       WHERE next IS NOT NULL`,
      [types],
    );
  }

  /** Returns the jobs that nobody has touched for `ms` although they run, and keeps other instances from them. */
  async findAbandoned(tx: EntityManager, ms: number): Promise<ClaimedJob[]> {
    const rows = await tx.query<ActiveRow[]>(
      `SELECT id, name, group_id AS "groupId", priority, data, retry_count AS "retryCount", start_after AS "startAfter",
         started_on AS "startedOn"
       FROM pgboss.job WHERE state = 'active' AND heartbeat_on < clock_timestamp() - $1::int * interval '1 ms'
         AND name IN (SELECT name FROM pgboss.queue)
       FOR UPDATE SKIP LOCKED`,
      [ms],
    );
    return rows.map(toClaimed);
  }

  /** Counts a crash against jobs. */
  async chargeCrash(tx: EntityManager, jobs: readonly ClaimedJob[]): Promise<void> {
    await tx.query(
      `UPDATE pgboss.job SET data = data || jsonb_build_object('crashes', ${CRASHES} + 1) WHERE id = ANY($1::uuid[])`,
      [jobs.map(({ id }) => id)],
    );
  }

  /** Lets dead jobs run again, except those whose unique key another one holds. */
  async revive(tx: EntityManager, column: 'id' | 'name', value: string): Promise<Lane[]> {
    return rowsWritten<Lane>(
      tx,
      `UPDATE pgboss.job SET state = 'created', start_after = clock_timestamp(), completed_on = NULL,
         data = data || jsonb_build_object('crashes', 0, 'uncounted', retry_count + 1)
       WHERE state = 'failed' AND id IN (
         SELECT DISTINCT ON (dead.name, dead.singleton_key) dead.id FROM pgboss.job AS dead
         WHERE dead.${column} = $1 AND dead.state = 'failed' AND NOT EXISTS (
           SELECT FROM pgboss.job AS holder WHERE holder.name = dead.name AND holder.state <= 'active'
             AND holder.policy = 'exclusive' AND COALESCE(holder.singleton_key, '') = dead.singleton_key)
         ORDER BY dead.name, dead.singleton_key, dead.id)
       RETURNING name AS type, COALESCE(group_id, '') AS "group", priority`,
      [value],
    );
  }

  /** Makes a failed job's next attempt due at once. */
  async hurry(tx: EntityManager, id: string): Promise<(Lane & { suspect: boolean })[]> {
    const lanes = await rowsWritten<Lane & { crashes: number }>(
      tx,
      `UPDATE pgboss.job SET start_after = clock_timestamp() WHERE state = 'retry' AND id = $1
       RETURNING name AS type, COALESCE(group_id, '') AS "group", priority, ${CRASHES} AS crashes`,
      [id],
    );
    return lanes.map(({ crashes, ...lane }) => ({ ...lane, suspect: isSuspect({ crashes }) }));
  }

  /** Removes a job that waits or is dead. Returns whether it was there. */
  async remove(tx: EntityManager, id: string): Promise<boolean> {
    const sql = `DELETE FROM pgboss.job WHERE id = $1 AND state IN ('created', 'retry', 'failed') RETURNING 1`;
    return (await rowsWritten(tx, sql, [id])).length > 0;
  }

  /** Removes every job of a group that waits. */
  async removeGroup(tx: EntityManager, type: string, group: string): Promise<void> {
    const sql = `DELETE FROM pgboss.job WHERE name = $1 AND COALESCE(group_id, '') = $2 AND state < 'active'`;
    await tx.query(sql, [type, group]);
  }

  /** Removes up to `limit` jobs that ended before `before` (epoch ms). Returns how many. */
  async removeEnded(tx: EntityManager, state: 'completed' | 'dead', before: number, limit: number): Promise<number> {
    const removed = await rowsWritten(
      tx,
      `DELETE FROM pgboss.job WHERE id IN (
         SELECT id FROM pgboss.job WHERE (${STATE}) = $1 AND completed_on < to_timestamp($2::float8 / 1000) LIMIT $3)
       RETURNING 1`,
      [state, before, limit],
    );
    return removed.length;
  }
}
