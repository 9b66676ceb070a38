import type { INestApplicationContext } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventRow } from '../../src/events/event.entity.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobRow } from '../../src/jobs/job.entity.js';
import type { JobState } from '../../src/jobs/job-types.js';
import type { TestServer } from './server.js';

type Change = Partial<
  Pick<JobRow, 'type' | 'state' | 'runAt' | 'attempts' | 'crashes' | 'history' | 'lease' | 'startedAt' | 'finishedAt'>
>;

/** Makes a dead job, which is delayed as well, so that the worker leaves it alone until it is dead. */
export async function deadJob({ app }: TestServer): Promise<string> {
  const payload = { email: 'nobody@example.com' };
  const id = await app.get(JobQueue).submit('auth.forgot-password', payload, { delayMs: 3_600_000 });
  const failure = { attempt: 1, at: Date.now(), error: 'it failed' };
  await changeJob(app, id, { state: 'dead', attempts: 1, history: [failure] });
  return id;
}

/** Changes a job behind the back of the queue. One that is made to run is run by nobody any more. */
export async function changeJob(app: INestApplicationContext, id: string, change: Change): Promise<void> {
  await app.get(UnitOfWork).run(async (tx) => {
    if (tx.connection.options.type === 'postgres') await changeOnBoss(tx, id, change);
    else await tx.update(JobRow, { id }, change);
  });
}

/** Removes a job or an event behind everybody's back. Returns what puts it back. */
export async function takeRow(
  app: INestApplicationContext,
  entity: typeof JobRow | typeof EventRow,
  id: string,
): Promise<() => Promise<unknown>> {
  const units = app.get(UnitOfWork);
  return units.run(async (tx) => {
    if (tx.connection.options.type !== 'postgres') {
      const row = await tx.findOneByOrFail<JobRow | EventRow>(entity, { id });
      await tx.delete(entity, { id });
      return () => units.run((later) => later.insert(entity, row as object));
    }
    const table = entity === JobRow ? 'pgboss.job' : 'events';
    const [row] = await tx.query<object[]>(`SELECT to_jsonb(one) AS one FROM ${table} AS one WHERE id = $1`, [id]);
    await tx.query(`DELETE FROM ${table} WHERE id = $1`, [id]);
    const back = `INSERT INTO ${table} SELECT (jsonb_populate_record(NULL::${table}, $1::jsonb -> 'one')).*`;
    return () => units.run((later) => later.query(back, [JSON.stringify(row)]));
  });
}

const BOSS_STATES: Record<JobState, string> = {
  pending: 'created',
  processing: 'active',
  completed: 'completed',
  failed: 'retry',
  dead: 'failed',
};

async function changeOnBoss(tx: EntityManager, id: string, change: Change): Promise<void> {
  const { type, state, runAt, attempts, crashes, history } = change;
  if (type !== undefined) await tx.query(`SELECT pgboss.create_queue($1, '{"policy":"exclusive"}')`, [type]);
  const data = {
    ...(crashes !== undefined && { crashes }),
    ...(history !== undefined && { history: JSON.stringify(history) }),
  };
  await tx.query(
    `UPDATE pgboss.job SET name = COALESCE($2, name), state = COALESCE($3, state::text)::pgboss.job_state,
       start_after = COALESCE(to_timestamp($4::float8 / 1000), start_after), data = data || $6::jsonb,
       retry_count = COALESCE($5::int - 1, retry_count),
       started_on = CASE WHEN $5::int IS NULL THEN started_on ELSE now() END,
       heartbeat_on = CASE WHEN $3 = 'active' THEN now() - interval '1 minute' END,
       completed_on = CASE WHEN COALESCE($3, state::text) IN ('failed', 'completed') THEN now() END
     WHERE id = $1`,
    [id, type, state && BOSS_STATES[state], runAt, attempts, JSON.stringify(data)],
  );
}
