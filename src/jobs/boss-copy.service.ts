import type { DataSource, QueryRunner } from 'typeorm';
import { NEVER } from '../database/boss.js';
import type { CopiedView } from '../database/copy/copied-table.js';
import { OnlyInstance } from '../database/instances.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { BossJobStore } from './boss-job-store.service.js';
import type { BossData } from './boss-table.service.js';
import { DurableJobDatabase } from './job-database.service.js';
import type { JobState } from './job-types.js';

/** A row of the table of jobs on SQLite; `payload` and `history` are JSON texts. */
interface FileRow {
  id: string;
  type: string;
  groupKey: string;
  uniqueKey: string | null;
  state: JobState;
  priority: number;
  runAt: number;
  attempts: number;
  crashes: number;
  payload: string;
  eventId: string | null;
  history: string | null;
  createdAt: number;
  startedAt: number | null;
  finishedAt: number | null;
}

/** As pg-boss calls them. Its `failed` is final. */
const STATES: Record<JobState, string> = {
  pending: 'created',
  failed: 'retry',
  processing: 'active',
  completed: 'completed',
  dead: 'failed',
};

const at = (column: string): string => `timestamptz 'epoch' + "${column}" * interval '1 ms'`;

/** pg-boss's own insert makes waiting jobs only, of one queue, created now. */
const INSERT = `INSERT INTO pgboss.job (
    id, name, group_id, singleton_key, state, priority, data, retry_count,
    start_after, created_on, started_on, completed_on, heartbeat_on,
    policy, retry_limit, expire_seconds, deletion_seconds, keep_until)
  SELECT id, type, "groupId", "singletonKey", state::pgboss.job_state, priority, data, "retryCount",
    ${at('runAt')}, ${at('createdAt')}, ${at('startedAt')}, ${at('finishedAt')},
    CASE WHEN state = 'active' THEN timestamptz 'epoch' END,
    'exclusive', ${NEVER}, ${NEVER}, 0, ${at('runAt')} + ${NEVER} * interval '1 s'
  FROM json_to_recordset($1::json) AS row (
    id uuid, type text, "groupId" text, "singletonKey" text, state text, priority int, data jsonb, "retryCount" int,
    "runAt" bigint, "createdAt" bigint, "startedAt" bigint, "finishedAt" bigint)`;

/**
 * The jobs of a file on their way into pg-boss's table, which shows them as the view `jobs`.
 *
 * One whose process was killed in the middle of an attempt stays `processing`, with a last sign of life long ago: the
 * service that starts on the copy makes of it what it would on the file, which depends on the type's `maxCrashes`.
 */
export class CopiedJobs implements CopiedView {
  readonly name = 'jobs';
  readonly key = 'id';
  /** A claim has another name there. */
  readonly without = ['lease'];

  private constructor(private readonly store: BossJobStore) {}

  /** Makes pg-boss's schema and the view, unless they are there. */
  static async open(target: DataSource): Promise<CopiedJobs> {
    const database = new DurableJobDatabase(target.manager, new UnitOfWork(target));
    return new CopiedJobs(await BossJobStore.open(database, target, new OnlyInstance()));
  }

  async write(target: QueryRunner, rows: readonly Record<string, unknown>[]): Promise<void> {
    const jobs = rows as unknown as FileRow[];
    for (const type of new Set(jobs.map((job) => job.type))) await this.store.prepare(type);
    await target.query(INSERT, [JSON.stringify(jobs.map(toBossRow))]);
  }

  async close(): Promise<void> {
    await this.store.close();
  }
}

function toBossRow(row: FileRow): object {
  const { id, type, groupKey, uniqueKey, state, priority, payload, eventId, history, crashes, attempts } = row;
  const { runAt, createdAt, startedAt, finishedAt } = row;
  const data: BossData = {
    payload,
    eventId,
    ...(history !== null && { history }),
    ...(crashes > 0 && { crashes }),
    // Claimed, and then given back or revived: pg-boss counts the claim.
    ...(startedAt !== null && attempts === 0 && { uncounted: 1 }),
  };
  return {
    id,
    type,
    priority,
    data,
    runAt,
    createdAt,
    startedAt,
    finishedAt,
    groupId: groupKey === '' ? null : groupKey,
    singletonKey: uniqueKey ?? id,
    state: STATES[state],
    // Of the first claim it is 0, and each later one adds 1.
    retryCount: Math.max(0, attempts - 1),
  };
}
