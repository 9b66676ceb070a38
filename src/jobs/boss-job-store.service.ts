import type { JobAttempt as Attempt, PgBoss } from 'pg-boss';
import type { DataSource, EntityManager } from 'typeorm';
import { v7 as uuidv7, validate } from 'uuid';
import type { Instances } from '../database/instances.js';
import { inUnit, NEVER, startBoss } from '../database/boss.js';
import { BossTable, toClaimed, type BossData } from './boss-table.service.js';
import type { JobDatabase } from './job-database.service.js';
import type { ClaimedJob, DueLane, NewJob, Outcome } from './job-records.js';
import { JobStore } from './job-store.service.js';
import type { JobRow } from './job.entity.js';

/** How long an attempt may be silent while everybody can speak. */
export const LOST_MS = 10_000;
/** Rows removed in one unit of work. */
const REMOVAL_BATCH = 1000;

/** The jobs on PostgreSQL: pg-boss's table, a queue for each type. */
export class BossJobStore extends JobStore {
  /** After how long without a sign of life an attempt counts as ended with its process, in ms. */
  lostAfterMs = LOST_MS;
  private readonly table = new BossTable();
  /** The queues that are there, or are being made. */
  private readonly queues = new Map<string, Promise<void>>();

  private constructor(
    database: JobDatabase,
    private readonly boss: PgBoss,
    private readonly instances: Instances,
  ) {
    super(database);
  }

  /** @param writer - the connections that pg-boss uses outside of units of work. */
  static async open(database: JobDatabase, writer: DataSource, instances: Instances): Promise<BossJobStore> {
    const store = new BossJobStore(database, await startBoss(writer), instances);
    await database.units.run(async (tx) => {
      await database.units.lock('jobs view');
      await store.table.createView(tx);
    });
    return store;
  }

  /** Stops what pg-boss does in the background. */
  async close(): Promise<void> {
    await this.boss.stop({ graceful: false, close: false });
  }

  /** Makes the queue of a type, unless it is there. */
  prepare(type: string): Promise<void> {
    const known = this.queues.get(type);
    if (known) return known;
    // Exclusive: while a job waits or runs, its singleton key is its own.
    const made = this.boss.createQueue(type, { policy: 'exclusive' });
    this.queues.set(type, made);
    made.catch(() => this.queues.delete(type));
    return made;
  }

  async add(jobs: readonly NewJob[]): Promise<string[]> {
    const rows = jobs.map((job) => ({ ...job, id: uuidv7() }));
    await this.insert(rows);
    return rows.map(({ id }) => id);
  }

  async addUnlessHeld(job: NewJob): Promise<string> {
    const { units } = this.database;
    return units.run(async (tx) => {
      await units.lock(`job ${job.type} ${job.uniqueKey}`);
      for (;;) {
        const holder = await this.table.findHolder(tx, job.type, job.uniqueKey ?? '');
        if (holder !== undefined) return holder;
        const [id] = await this.insert([{ ...job, id: uuidv7() }]);
        if (id !== undefined) return id;
      }
    });
  }

  /** @returns the ids of those that were added. */
  private async insert(jobs: readonly (NewJob & { id: string })[]): Promise<string[]> {
    const [{ type } = { type: '' }] = jobs;
    if (jobs.length === 0) return [];
    await this.prepare(type);
    const now = Date.now();
    const rows = jobs.map(({ id, uniqueKey, group, priority, payload, eventId, runAt }) => ({
      id,
      data: { payload, eventId } satisfies BossData,
      priority,
      singletonKey: uniqueKey ?? id,
      ...(group !== '' && { group: { id: group } }),
      ...(runAt > now && { startAfter: `${runAt - now} milliseconds` }),
      // Herald decides when a job is tried again, is dead, and is removed.
      retryLimit: NEVER,
      expireInSeconds: NEVER,
      retentionSeconds: NEVER,
      deleteAfterSeconds: 0,
    }));
    let added: string[] | null = [];
    await this.database.enlist(async (tx) => {
      added = await this.boss.insert(type, rows, { ...inUnit(tx), returnId: true });
      this.tell(jobs.map(({ group, priority, runAt }) => ({ type, group, priority, dueAt: runAt })));
    });
    return added ?? [];
  }

  /** Lets no other instance claim jobs of these types before the current unit has ended: pg-boss counts what is committed. */
  async lockGroups(types: readonly string[]): Promise<void> {
    if (types.length > 0) await this.database.units.lock(...types.map((type) => `job groups ${type}`));
  }

  /** Claims up to `limit` due jobs of a type, the highest priority first. */
  async claim(
    tx: EntityManager,
    { type, groupConcurrency }: { type: string; groupConcurrency: number },
    limit: number,
  ): Promise<ClaimedJob[]> {
    const rows = await this.boss.fetch<BossData>(type, {
      ...inUnit(tx),
      batchSize: limit,
      includeMetadata: true,
      ...(groupConcurrency !== Number.POSITIVE_INFINITY && { groupConcurrency }),
    });
    return rows.map(toClaimed);
  }

  /** Returns, for those of some types that wait for anything, in how many ms the next job is due; below 0 if it is. */
  nextDue(tx: EntityManager, types: readonly string[]): Promise<{ type: string; inMs: number }[]> {
    return this.table.nextDue(tx, types);
  }

  /** Says that attempts are still under way; without any it only sees that the database answers. */
  async touch(jobs: readonly ClaimedJob[]): Promise<void> {
    if (jobs.length === 0) await this.database.reader.query('SELECT 1');
    for (const [type, attempts] of attemptsByType(jobs)) await this.boss.touch(type, attempts);
  }

  async settle(tx: EntityManager, outcomes: readonly Outcome[]): Promise<number> {
    const [completed, others] = [[] as ClaimedJob[], [] as Outcome[]];
    for (const outcome of outcomes) {
      if (outcome.end === 'completed') completed.push(outcome.job);
      else others.push(outcome);
    }
    let settled = others.length > 0 ? await this.table.settle(tx, others) : 0;
    for (const [type, attempts] of attemptsByType(completed)) {
      settled += await this.completeAll(tx, type, attempts);
    }
    return settled;
  }

  async complete(job: ClaimedJob, onCommitted: () => void, onLost: () => never): Promise<void> {
    await this.database.enlist(async (tx) => {
      if ((await this.completeAll(tx, job.type, [attemptOf(job)])) === 0) onLost();
      this.database.units.afterCommit(onCommitted);
    });
  }

  /** Completes attempts that still hold their lease. Returns how many did. */
  private async completeAll(tx: EntityManager, type: string, attempts: Attempt[]): Promise<number> {
    // Its type leaves out what it answers.
    const answer = (await this.boss.complete(type, attempts, null, inUnit(tx))) as { affected: number };
    return answer.affected;
  }

  findAbandoned(tx: EntityManager): Promise<ClaimedJob[]> {
    return this.table.findAbandoned(tx, this.lostAfterMs);
  }

  chargeCrash(tx: EntityManager, jobs: readonly ClaimedJob[]): Promise<void> {
    return this.table.chargeCrash(tx, jobs);
  }

  async waitingTypes(): Promise<string[]> {
    const queues = await this.boss.getQueues();
    const waiting = await this.table.nextDue(
      this.database.reader,
      queues.map(({ name }) => name),
    );
    return waiting.map(({ type }) => type);
  }

  async livePayloads(type: string, group: string): Promise<unknown[]> {
    const payloads = await this.table.livePayloads(this.database.reader, type, group);
    return payloads.map((payload) => JSON.parse(payload) as unknown);
  }

  override async find(id: string): Promise<JobRow | undefined> {
    return validate(id) ? super.find(id) : undefined;
  }

  async revive(which: { id: string } | { type: string }, now: number): Promise<number> {
    return this.transaction(async (tx) => {
      const lanes = await ('id' in which
        ? this.table.revive(tx, 'id', which.id)
        : this.table.revive(tx, 'name', which.type));
      this.tell(lanes.map((lane) => ({ ...lane, dueAt: now })));
      return lanes.length;
    });
  }

  async hurry(id: string, now: number): Promise<boolean> {
    return this.transaction(async (tx) => {
      const lanes = await this.table.hurry(tx, id);
      this.tell(lanes.map((lane) => ({ ...lane, dueAt: now })));
      return lanes.length > 0;
    });
  }

  remove(tx: EntityManager, id: string): Promise<boolean> {
    return this.table.remove(tx, id);
  }

  async removeGroup(type: string, group: string): Promise<void> {
    await this.database.enlist((tx) => this.table.removeGroup(tx, type, group));
  }

  async removeEnded(state: 'completed' | 'dead', before: number): Promise<number> {
    let total = 0;
    for (let removed = REMOVAL_BATCH; removed === REMOVAL_BATCH; total += removed) {
      removed = await this.transaction((tx) => this.table.removeEnded(tx, state, before, REMOVAL_BATCH));
    }
    return total;
  }

  protected override tell(lanes: DueLane[]): void {
    super.tell(lanes);
    if (lanes.length > 0) this.database.units.afterCommit(() => this.instances.signal('jobs'));
  }
}

function attemptOf({ id, lease }: ClaimedJob): Attempt {
  return { id, retryCount: Number(lease) };
}

function attemptsByType(jobs: readonly ClaimedJob[]): Map<string, Attempt[]> {
  const attempts = new Map<string, Attempt[]>();
  for (const job of jobs) {
    const ofType = attempts.get(job.type);
    if (ofType) ofType.push(attemptOf(job));
    else attempts.set(job.type, [attemptOf(job)]);
  }
  return attempts;
}
