import { Injectable, Module } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import type { BossJobStore } from '../../src/jobs/boss-job-store.service.js';
import { JobHandler } from '../../src/jobs/job-handler.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobStore } from '../../src/jobs/job-store.service.js';
import { JobLeaseLostError, UnrecoverableJobError, type JobContext } from '../../src/jobs/job-types.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import { Api } from '../support/api.js';
import { BuiltServer } from '../support/built-server.js';
import { TestDatabase } from '../support/database.js';
import { Inbox } from '../support/inbox.js';
import { changeJob } from '../support/jobs.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

declare module '../../src/jobs/job-types.js' {
  interface JobTypes {
    'shared.work': { name: string };
    'shared.grouped': { name: string };
  }
}

interface Run extends JobContext {
  /** The instance that runs it. */
  by: object;
  name: string;
}

let work: (run: Run) => unknown;
let runs: Inbox<Run>;

@Injectable()
class Handlers {
  @JobHandler('shared.work')
  async work({ name }: { name: string }, job: JobContext): Promise<void> {
    const run = { ...job, by: this, name };
    runs.push(run);
    await work(run);
  }
  @JobHandler('shared.grouped')
  async grouped({ name }: { name: string }, job: JobContext): Promise<void> {
    await this.work({ name }, job);
  }
}

@Module({
  imports: [
    JobsModule.forFeature({
      'shared.work': { maxAttempts: 3, backoff: { scheduleMs: [40] }, concurrency: 4 },
      'shared.grouped': { concurrency: 4, groupConcurrency: 1 },
    }),
  ],
  providers: [Handlers],
})
class SharedModule {}

const payloads = (count: number) => Array.from({ length: count }, (_, n) => ({ payload: { name: `n${n}` } }));

describe('jobs of two instances', () => {
  let one: TestServer;
  let other: TestServer;
  let token: string;
  const queueOf = ({ app }: TestServer) => app.get(JobQueue);
  const quiet = async () => {
    for (const { app } of [one, other, one]) await app.get(JobWorker).idle();
  };
  const isOf = ({ app }: TestServer, run: Run) => app.get(Handlers) === run.by;

  beforeAll(async () => {
    [runs, work] = [new Inbox(), () => undefined];
    one = await TestServer.start({}, [SharedModule]);
    other = await one.startAnother();
    token = (await one.api.login(ADMIN)).accessToken;
    await quiet();
  });
  beforeEach(() => {
    [runs, work] = [new Inbox(), () => undefined];
  });
  afterEach(quiet);
  afterAll(async () => {
    await other.close();
    await one.close();
  });

  it('run once each, over both', async () => {
    work = () => new Promise((resolve) => setImmediate(resolve));
    const ids = (
      await Promise.all([one, other].map((server) => queueOf(server).submitAll('shared.work', payloads(300))))
    ).flat();
    for (let n = 0; n < ids.length; n += 1) await runs.next();
    await quiet();
    expect(new Set(runs.all.map(({ id }) => id))).toEqual(new Set(ids));
    expect(runs.all).toHaveLength(ids.length);
    expect(new Set(runs.all.map(({ by }) => by)).size).toBe(2);
  });

  it('wake the instance that is free, whoever submits them', async () => {
    let free = (): void => undefined;
    const held = new Promise<void>((resolve) => (free = resolve));
    work = () => held;
    // Four at a time and instance.
    await queueOf(one).submitAll('shared.work', payloads(8));
    for (let n = 0; n < 8; n += 1) await runs.next();
    expect(runs.all.filter((run) => isOf(one, run))).toHaveLength(4);
    free();
  });

  it('of a group share its limit', async () => {
    let running = 0;
    let peak = 0;
    work = async () => {
      running += 1;
      peak = Math.max(peak, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    const jobs = payloads(12).map((job) => ({ ...job, options: { group: 'g' } }));
    await queueOf(one).submitAll('shared.grouped', jobs);
    for (let n = 0; n < jobs.length; n += 1) await runs.next();
    expect(peak).toBe(1);
  });

  it('are added once under a unique key that both submit at the same time', async () => {
    const submits = Array.from({ length: 20 }, (_, n) =>
      queueOf(n % 2 === 0 ? one : other).submit('shared.work', { name: 'u' }, { uniqueKey: 'k', delayMs: 60_000 }),
    );
    const ids = new Set(await Promise.all(submits));
    expect(ids.size).toBe(1);
    const [id = ''] = ids;
    await queueOf(other).discard(id);
    expect(await queueOf(one).submit('shared.work', { name: 'u' }, { uniqueKey: 'k' })).not.toBe(id);
  });

  it('are gone with the unit that submitted them', async () => {
    const before = await queueOf(other).stats();
    const unit = one.app.get(UnitOfWork).run(async () => {
      await queueOf(one).submit('shared.work', { name: 'never' });
      await queueOf(one).submit('shared.work', { name: 'never' }, { uniqueKey: 'never' });
      throw new Error('rolled back');
    });
    await expect(unit).rejects.toThrow('rolled back');
    expect(await queueOf(other).stats()).toEqual(before);
  });

  it('keep payloads as they are, and what failed in them', async () => {
    const odd = { b: 'NUL \u0000, half \ud800', a: 1, name: 'odd' };
    work = ({ attempt }) => {
      if (attempt === 1) throw new Error('NUL \u0000');
    };
    const id = await queueOf(one).submit('shared.work', odd);
    await runs.next(({ attempt }) => attempt === 2);
    await quiet();
    const job = await queueOf(other).get(id);
    expect(JSON.stringify(job.payload)).toBe(JSON.stringify(odd));
    expect(job).toMatchObject({ state: 'completed', attempts: 2, crashes: 0, uniqueKey: null, groupKey: '' });
    expect(job.history).toEqual([{ attempt: 1, at: expect.any(Number), error: 'Error: NUL \u0000' }]);
    expect((job.startedAt ?? 0) - (job.history?.[0]?.at ?? 0)).toBeGreaterThanOrEqual(39);
  });

  it('are revived by either, but for those whose unique key is held', async () => {
    work = () => {
      throw new UnrecoverableJobError('no');
    };
    const dead = [await queueOf(one).submit('shared.work', { name: 'free' })];
    for (let n = 0; n < 2; n += 1) {
      dead.push(await queueOf(one).submit('shared.work', { name: 'keyed' }, { uniqueKey: 'key' }));
      await quiet();
    }
    const states = async () => Promise.all(dead.map(async (id) => (await queueOf(one).get(id)).state));
    expect(await states()).toEqual(['dead', 'dead', 'dead']);
    work = () => undefined;
    const answer = await other.api.post('/jobs/redrive', { type: 'shared.work' }, token);
    expect(answer.body.data).toEqual({ redriven: 2 });
    await quiet();
    expect(await states()).toEqual(['completed', 'completed', 'dead']);
    const holder = await queueOf(one).submit('shared.work', { name: 'h' }, { uniqueKey: 'key', delayMs: 60_000 });
    await expect(queueOf(other).retry(dead[2] ?? '')).rejects.toMatchObject({ code: 'CONFLICT' });
    await queueOf(one).discard(holder);
    expect(await queueOf(one).retry(dead[2] ?? '')).toMatchObject({ attempts: 0 });
    await quiet();
    expect(await queueOf(one).get(dead[2] ?? '')).toMatchObject({ state: 'completed', attempts: 1 });
  });

  it('are taken from an attempt that gives no sign of life, which then can neither complete nor fail them', async () => {
    const stores = [one, other].map(({ app }) => app.get(JobStore) as BossJobStore);
    const touches = stores.map((store) => vi.spyOn(store, 'touch').mockResolvedValue());
    let wakeFirst = (): void => undefined;
    const slept = new Promise<void>((resolve) => (wakeFirst = resolve));
    const lost = new Inbox<unknown>();
    work = async ({ attempt, complete }) => {
      if (attempt > 1) return;
      await slept;
      await complete().catch((error: unknown) => lost.push(error));
      throw new Error('the first attempt fails late');
    };
    const id = await queueOf(one).submit('shared.work', { name: 'silent' });
    await runs.next();
    // As if it had been silent for a minute.
    await one.app
      .get(UnitOfWork)
      .run((tx) => tx.query(`UPDATE pgboss.job SET heartbeat_on = now() - interval '1 minute' WHERE id = $1`, [id]));
    const second = await runs.next();
    expect(second).toMatchObject({ id, attempt: 2, crashes: 1 });
    wakeFirst();
    expect(await lost.next()).toBeInstanceOf(JobLeaseLostError);
    await quiet();
    const job = await queueOf(one).get(id);
    expect(job).toMatchObject({ state: 'completed', attempts: 2, crashes: 1 });
    expect(job.history).toMatchObject([{ attempt: 1, error: 'The process ended during this attempt' }]);
    for (const touch of touches) touch.mockRestore();
  });

  it('that were left running by a type that one of them knows are counted a crash by that one', async () => {
    const [id = ''] = await queueOf(one).submitAll('shared.work', [
      { payload: { name: 'left' }, options: { delayMs: 60_000 } },
    ]);
    await changeJob(one.app, id, { state: 'processing', attempts: 1 });
    expect(await runs.next()).toMatchObject({ id, attempt: 2, crashes: 1 });
  });
});

describe('an instance that is killed', () => {
  it('leaves its running jobs to the others', async () => {
    const database = await TestDatabase.create();
    const receiver = await Receiver.start(() => undefined);
    const environment = {
      ...database.environment,
      NODE_ENV: 'test',
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      WEBHOOK_TIMEOUT_MS: '60000',
    };
    const killed = await BuiltServer.start(environment);
    const api = new Api(`${killed.url}/api/v1`);
    const { accessToken } = await api.login(ADMIN);
    await api.post('/webhooks', { url: receiver.url, events: ['login.failed'] }, accessToken);
    await api.post('/auth/login', { email: 'nobody@example.com', password: 'wrong' });
    const first = await receiver.next();
    const heir = await BuiltServer.start(environment);
    await killed.stop('SIGKILL');
    const killedAt = Date.now();
    receiver.answer = () => 204;
    const second = await receiver.next();
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    // Not longer than it takes to believe that it is dead, and to look.
    expect(Date.now() - killedAt).toBeLessThan(20_000);
    await heir.stop('SIGTERM');
    await receiver.close();
    await database.remove();
  }, 60_000);
});
