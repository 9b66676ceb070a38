import { Injectable, Module, type Type } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import type { DomainEvent } from '../../src/events/domain-event.js';
import { DurableReader } from '../../src/jobs/durable-reader.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobHandler, OnDeadJob } from '../../src/jobs/job-handler.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobStore } from '../../src/jobs/job-store.service.js';
import { JobLeaseLostError, UnrecoverableJobError, type JobContext, type JobState } from '../../src/jobs/job-types.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import type { SqliteJobStore } from '../../src/jobs/sqlite-job-store.service.js';
import { JobsModule } from '../../src/jobs/jobs.module.js';
import { Inbox } from '../support/inbox.js';
import { changeJob } from '../support/jobs.js';
import { seededRandom } from '../support/random.js';
import { ADMIN, TestServer } from '../support/server.js';

declare module '../../src/jobs/job-types.js' {
  interface JobTypes {
    'test.work': { name: string };
    'test.slow': { name: string };
    'test.held': { name: string };
    'test.grouped': { name: string };
    'test.fragile': { name: string };
  }
}

interface Run extends JobContext {
  name: string;
}

/** What the handlers do next; every test says so for itself. */
let work: (run: Run) => unknown;
let slow: (run: Run) => unknown;
let onDeath: () => unknown;
/** Every call of a handler, in order. */
let runs: Inbox<Run>;
let deaths: string[];
let events: DomainEvent[];

@Injectable()
class Handlers {
  @JobHandler('test.work')
  work({ name }: { name: string }, job: JobContext): unknown {
    runs.push({ name, ...job });
    return work({ name, ...job });
  }
  @JobHandler('test.slow')
  async slow({ name }: { name: string }, job: JobContext): Promise<void> {
    runs.push({ name, ...job });
    await slow({ name, ...job });
  }
  @JobHandler('test.held')
  async held({ name }: { name: string }, job: JobContext): Promise<void> {
    runs.push({ name, ...job });
    await slow({ name, ...job });
  }
  @JobHandler('test.grouped')
  async grouped({ name }: { name: string }, job: JobContext): Promise<void> {
    runs.push({ name, ...job });
    await work({ name, ...job });
  }
  @JobHandler('test.fragile')
  async fragile({ name }: { name: string }, job: JobContext): Promise<void> {
    runs.push({ name, ...job });
    await work({ name, ...job });
  }
  @OnDeadJob('test.fragile')
  onDead({ name }: { name: string }, reason: string): unknown {
    deaths.push(`${name}: ${reason}`);
    return onDeath();
  }
  @DurableReader({ name: 'test', events: ['login.failed', 'user.registered'] })
  onEvent(event: DomainEvent<'login.failed' | 'user.registered'>): void {
    events.push(event);
  }
}

@Module({
  imports: [
    JobsModule.forFeature({
      'test.work': { maxAttempts: 3, backoff: { scheduleMs: [0] }, concurrency: 2 },
      'test.slow': { timeoutMs: 100, maxAttempts: 1, concurrency: 1 },
      'test.held': { concurrency: 1 },
      'test.grouped': { concurrency: 10, groupConcurrency: 2 },
      'test.fragile': () => ({ maxAttempts: 1, maxCrashes: 3 }),
    }),
  ],
  providers: [Handlers],
})
class TestModule {}

/** A promise, and the function that resolves it: what holds a handler. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describe.each(['database', 'memory'] as const)('the job queue, JOBS_STORE=%s', (store) => {
  let server: TestServer;
  let queue: JobQueue;
  let worker: JobWorker;
  let token: string;
  const bind = async () => {
    queue = server.app.get(JobQueue);
    worker = server.app.get(JobWorker);
    token = (await server.api.login(ADMIN)).accessToken;
  };
  /** Lets the server finish what accounts set off: an event, its reader's job, and the mail that one submits. */
  const quiet = async () => {
    for (let hop = 0; hop < 4; hop += 1) {
      await server.app.get(DurableReaders).caughtUp();
      // What is submitted to memory is written after the commit: this waits for its turn behind it.
      await server.app.get(JobStore).transaction(() => Promise.resolve());
      await worker.idle();
    }
  };
  const submit = (name: string, options = {}) => queue.submit('test.work', { name }, options);
  const stateOf = async (id: string) => (await queue.get(id)).state;
  const names = () => runs.all.map(({ name }) => name);

  beforeAll(async () => {
    [runs, deaths, events] = [new Inbox(), [], []];
    server = await TestServer.start({ JOBS_STORE: store, SHUTDOWN_GRACE_MS: '400' }, [TestModule]);
    await bind();
    await quiet();
  });
  beforeEach(() => {
    [runs, deaths, events] = [new Inbox(), [], []];
    work = slow = onDeath = () => undefined;
  });
  afterEach(quiet);
  afterAll(() => server.close());

  it('runs a job with its payload, and tells of it over REST', async () => {
    const before = (await server.api.get('/jobs/stats', token)).body.data;
    expect(Object.keys(before).toSorted()).toEqual(['completed', 'dead', 'failed', 'pending', 'processing']);
    const held = gate();
    work = () => held.opened;
    const id = await submit('hello');
    await runs.next();
    expect((await server.api.get('/jobs/stats', token)).body.data.processing).toBe(1);
    held.open();
    await worker.idle();
    const { status, body } = await server.api.get(`/jobs/${id}`, token);
    expect(status).toBe(200);
    const expected = { id, type: 'test.work', status: 'completed', attempts: 1, crashes: 0, failures: [], runAt: null };
    expect(body.data).toMatchObject({ ...expected, payload: { name: 'hello' } });
    expect((await server.api.get('/jobs/stats', token)).body.data.completed).toBe(before.completed + 1);
  });

  it('joins the caller’s unit of work: no commit, no job', async () => {
    const units = server.app.get(UnitOfWork);
    const unit = units.run(async () => {
      await submit('never');
      throw new Error('rolled back');
    });
    await expect(unit).rejects.toThrow('rolled back');
    const held = gate();
    const committed = units.run(async () => {
      await submit('soon');
      await held.opened;
    });
    const later = submit('later');
    held.open();
    await Promise.all([committed, later]);
    await runs.next();
    await runs.next();
    expect(names().toSorted()).toEqual(['later', 'soon']);
  });

  it('tries again after a failure, and keeps every attempt’s error and time', async () => {
    work = ({ attempt }) => {
      if (attempt < 3) throw new Error(`no ${attempt}`);
    };
    const id = await submit('stubborn');
    await runs.next(({ attempt }) => attempt === 3);
    await worker.idle();
    const job = await queue.get(id);
    expect(job).toMatchObject({ state: 'completed', attempts: 3 });
    expect(job.history).toEqual([
      { attempt: 1, at: expect.any(Number), error: 'Error: no 1' },
      { attempt: 2, at: expect.any(Number), error: 'Error: no 2' },
    ]);
  });

  it('lays a job that never succeeds on the dead letter list; retry, redrive and discard act on it', async () => {
    work = () => {
      throw new Error('never');
    };
    const ids = [await submit('a'), await submit('b'), await submit('c')];
    for (let n = 0; n < 9; n += 1) await runs.next();
    await worker.idle();
    const dead = (await server.api.get('/jobs?status=dead&type=test.work&limit=2', token)).body.data;
    expect(dead.items.map(({ id }: { id: string }) => id)).toEqual([ids[2], ids[1]]);
    const rest = await server.api.get(`/jobs?status=dead&type=test.work&after=${dead.nextCursor}`, token);
    expect(rest.body.data.items.map(({ id }: { id: string }) => id)).toEqual([ids[0]]);

    work = () => undefined;
    expect((await server.api.post(`/jobs/${ids[0]}/retry`, {}, token)).status).toBe(200);
    await runs.next(({ name }) => name === 'a');
    await worker.idle();
    expect(await queue.get(ids[0] as string)).toMatchObject({ state: 'completed', attempts: 1 });
    expect((await queue.get(ids[0] as string)).history).toHaveLength(3);
    expect((await server.api.post(`/jobs/${ids[0]}/retry`, {}, token)).status).toBe(409);

    expect((await server.api.delete(`/jobs/${ids[1]}`, token)).status).toBe(204);
    expect((await server.api.get(`/jobs/${ids[1]}`, token)).status).toBe(404);
    expect((await server.api.delete(`/jobs/${ids[0]}`, token)).status).toBe(409);

    const redriven = await server.api.post('/jobs/redrive', { type: 'test.work' }, token);
    expect([redriven.status, redriven.body.data]).toEqual([200, { redriven: 1 }]);
    await runs.next(({ name }) => name === 'c');
    await worker.idle();
    expect(await stateOf(ids[2] as string)).toBe('completed');
  });

  it('makes a job dead at once when its handler knows better', async () => {
    work = () => {
      throw new UnrecoverableJobError('gone for good');
    };
    const id = await submit('hopeless');
    await runs.next();
    await worker.idle();
    expect(await queue.get(id)).toMatchObject({ state: 'dead', attempts: 1 });
    await queue.discard(id);
  });

  it('ends a handler that never returns by its timeout, and tells it through the signal', async () => {
    const aborted = new Inbox<unknown>();
    slow = ({ signal }) =>
      new Promise(() => signal.addEventListener('abort', () => aborted.push((signal.reason as Error).message)));
    const id = await queue.submit('test.slow', { name: 'hang' });
    expect(await aborted.next()).toBe('The attempt took longer than 100 ms');
    await worker.idle();
    expect(await queue.get(id)).toMatchObject({
      state: 'dead',
      history: [{ error: 'Error: The attempt took longer than 100 ms' }],
    });
    await queue.discard(id);
  });

  it('lets a slow type and a fast one never starve each other', async () => {
    const held = gate();
    slow = () => held.opened;
    await queue.submitAll(
      'test.held',
      Array.from({ length: 5 }, (_, n) => ({ payload: { name: `slow ${n}` } })),
    );
    await runs.next();
    await queue.submitAll(
      'test.work',
      Array.from({ length: 300 }, (_, n) => ({ payload: { name: `fast ${n}` } })),
    );
    await runs.next(({ name }) => name === 'fast 299');
    // All of it while the one slot of the slow type was taken.
    expect(names().filter((name) => name.startsWith('slow'))).toEqual(['slow 0']);
    held.open();
    await runs.next(({ name }) => name === 'slow 4');
  });

  it('runs no more of a type, or of a group, at once than it may', async () => {
    let running = 0;
    const peaks: Record<string, number> = {};
    work = async ({ name }) => {
      const kind = name.split(' ')[0] ?? '';
      running += 1;
      peaks[kind] = Math.max(peaks[kind] ?? 0, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    await queue.submitAll(
      'test.work',
      Array.from({ length: 40 }, (_, n) => ({ payload: { name: `two ${n}` } })),
    );
    await runs.next(({ name }) => name === 'two 39');
    await worker.idle();
    expect(peaks['two']).toBe(2);
    const held = gate();
    work = ({ name }) => (name.startsWith('hang') ? held.opened : undefined);
    await queue.submitAll(
      'test.grouped',
      ['hang 1', 'hang 2', 'hang 3', 'hang 4'].map((name) => ({ payload: { name }, options: { group: 'hang' } })),
    );
    await runs.next(({ name }) => name === 'hang 2');
    await queue.submitAll(
      'test.grouped',
      Array.from({ length: 30 }, (_, n) => ({ payload: { name: `ok ${n}` }, options: { group: 'ok' } })),
    );
    await runs.next(({ name }) => name === 'ok 29');
    expect(names().filter((name) => name.startsWith('hang'))).toEqual(['hang 1', 'hang 2']);
    held.open();
    await runs.next(({ name }) => name === 'hang 4');
  });

  it('takes higher priorities first, and delayed jobs when their time has come', async () => {
    const held = gate();
    work = ({ name }) => (name === 'plug' ? held.opened : undefined);
    await submit('plug');
    await submit('plug');
    await runs.next();
    await runs.next();
    await submit('low', { priority: -1 });
    await submit('normal');
    await submit('high', { priority: 5 });
    const startedAt = Date.now();
    await submit('delayed', { delayMs: 60, priority: 9 });
    held.open();
    await runs.next(({ name }) => name === 'delayed');
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(59);
    expect(names()).toEqual(['plug', 'plug', 'high', 'normal', 'low', 'delayed']);
  });

  it('adds nothing while another job holds the unique key', async () => {
    const held = gate();
    work = () => held.opened;
    const first = await submit('only', { uniqueKey: 'k' });
    await runs.next();
    expect(await submit('only again', { uniqueKey: 'k' })).toBe(first);
    if (store === 'database') {
      const [one, two] = await Promise.all([submit('x', { uniqueKey: 'k3' }), submit('x', { uniqueKey: 'k3' })]);
      expect(one).toBe(two);
    }
    const bulk = [1, 2].map((n) => ({ payload: { name: `bulk ${n}` }, options: { uniqueKey: 'k2' } }));
    await queue.submitAll('test.work', bulk);
    held.open();
    await runs.next(({ name }) => name === 'bulk 1');
    await worker.idle();
    expect(names().filter((name) => name !== 'x')).toEqual(['only', 'bulk 1']);
    expect(await submit('free again', { uniqueKey: 'k' })).not.toBe(first);
    await worker.idle();
  });

  it('completes a job together with what its handler writes, or not at all', async () => {
    const units = server.app.get(UnitOfWork);
    const lost = new Inbox<unknown>();
    work = async ({ attempt, complete }) => {
      await units.run(async () => {
        await queue.submit('test.fragile', { name: `child of ${attempt}` });
        await complete();
        if (attempt === 1) throw new Error('rolled back');
      });
    };
    const id = await submit('parent');
    await runs.next(({ name }) => name === 'child of 2');
    await worker.idle();
    expect(await queue.get(id)).toMatchObject({ state: 'completed', attempts: 2, history: [{ attempt: 1 }] });
    expect(names()).not.toContain('child of 1');

    if (store === 'memory') return;
    // An attempt that was given up cannot complete the job any more.
    slow = ({ signal, complete }) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          void worker.idle().then(async () => {
            await units.run(() => complete()).catch((error: unknown) => lost.push(error));
            resolve();
          });
        });
      });
    const given = await queue.submit('test.slow', { name: 'late' });
    expect(await lost.next()).toBeInstanceOf(JobLeaseLostError);
    expect(await stateOf(given)).toBe('dead');
    await queue.discard(given);
  });

  it('tells whoever waits for it that a job is dead or discarded', async () => {
    work = () => {
      throw new Error('broken');
    };
    const id = await queue.submit('test.fragile', { name: 'x' });
    await runs.next();
    await worker.idle();
    const waiting = await queue.submit('test.fragile', { name: 'y' }, { delayMs: 60_000 });
    await queue.discard(waiting);
    expect(deaths).toEqual(['x: Error: broken', 'y: Discarded by an admin']);
    await queue.discard(id);
    expect(deaths).toHaveLength(2);
  });

  it('hands every event of its types to a durable reader through a job', async () => {
    const email = 'reader@example.com';
    const user = await server.api.register('Correct-horse-1', email);
    await server.api.post('/auth/login', { email, password: 'wrong' });
    await server.api.login(user);
    await server.app.get(DurableReaders).caughtUp();
    await worker.idle();
    expect(events.map(({ type, subject }) => [type, subject])).toEqual([
      ['user.registered', user.id],
      ['login.failed', email],
    ]);
    expect(events[1]).toMatchObject({
      id: expect.stringMatching(/^evt-/),
      payload: { email },
      seq: expect.any(Number),
    });
  });

  it('goes on after the database failed, with everything that waited', async () => {
    const claim = vi
      .spyOn(server.app.get(JobStore) as SqliteJobStore, 'claim')
      .mockRejectedValueOnce(new Error('disk trouble'));
    work = ({ attempt }) => {
      if (attempt === 1) throw new Error('once');
    };
    await submit('before');
    await runs.next(({ attempt }) => attempt === 2);
    expect(claim.mock.calls.length).toBeGreaterThan(1);
    claim.mockRestore();
    const settle = vi.spyOn(server.app.get(JobStore), 'settle').mockRejectedValueOnce(new Error('disk trouble'));
    const id = await submit('outcome');
    await runs.next(({ name, attempt }) => name === 'outcome' && attempt === 2);
    await worker.idle();
    expect(await queue.get(id)).toMatchObject({ state: 'completed', attempts: 2, history: [{ error: 'Error: once' }] });
    settle.mockRestore();
  });

  it('remembers what waited in a transaction that failed, whoever wakes it next', async () => {
    const jobs = server.app.get(JobStore) as SqliteJobStore;
    const claim = jobs.claim.bind(jobs);
    let failures = 0;
    const spy = vi.spyOn(jobs, 'claim').mockImplementation(async (tx, lane, limit, now) => {
      const claimed = await claim(tx, lane, limit, now);
      // The second lane of the cycle fails, after the first one was claimed.
      if (lane.type === 'test.grouped' && failures === 0) {
        failures += 1;
        throw new Error('disk trouble');
      }
      return claimed;
    });
    await server.app.get(UnitOfWork).run(async () => {
      await submit('first lane');
      await queue.submit('test.grouped', { name: 'second lane' });
    });
    await expect.poll(() => failures, { interval: 5 }).toBe(1);
    await queue.submit('test.grouped', { name: 'wakes the worker' });
    await runs.next(({ name }) => name === 'wakes the worker');
    await expect.poll(names, { interval: 5 }).toContain('first lane');
    spy.mockRestore();
  });

  it('ends an attempt whatever its handler throws', async () => {
    const thrown = [
      Object.create(null),
      {
        toString: () => {
          throw new Error('worse');
        },
      },
      undefined,
      'text',
    ];
    work = ({ attempt }) => {
      throw thrown[attempt - 1];
    };
    for (const options of [{}, {}]) await submit('odd', options);
    for (let n = 0; n < 6; n += 1) await runs.next();
    await worker.idle();
    const dead = await queue.list({ state: 'dead', type: 'test.work', limit: 10 });
    expect(dead.map(({ history }) => history?.map(({ error }) => typeof error))).toEqual([
      ['string', 'string', 'string'],
      ['string', 'string', 'string'],
    ]);
    for (const { id } of dead) await queue.discard(id);
  });

  it('lets a job that follows a dead one be submitted where that is told', async () => {
    const units = server.app.get(UnitOfWork);
    work = ({ name }) => {
      if (name === 'dies') throw new Error('broken');
    };
    onDeath = () => units.run(() => queue.submit('test.work', { name: 'follows' }, { uniqueKey: 'follows' }));
    const id = await queue.submit('test.fragile', { name: 'dies' });
    // Another unit asks for a unique key at the same time: neither waits for the other for ever.
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        units.run(() => submit('asks', { uniqueKey: `asks ${n}`, delayMs: 60_000 })),
      ),
    );
    await runs.next(({ name }) => name === 'follows');
    await worker.idle();
    await queue.discard(id);
    for (const { id: waiting } of await queue.list({ state: 'pending', limit: 50 })) await queue.discard(waiting);
  });

  it('is closed to everybody but admins, and answers nonsense in the contract’s shape', async () => {
    const user = await server.api.register();
    for (const path of ['/jobs', '/jobs/stats', '/jobs/x']) {
      expect((await server.api.get(path)).status).toBe(401);
      expect((await server.api.get(path, user.accessToken)).status).toBe(403);
    }
    expect((await server.api.get('/jobs/x', token)).status).toBe(404);
    expect((await server.api.post('/jobs/x/retry', {}, token)).status).toBe(404);
    expect((await server.api.delete('/jobs/x', token)).status).toBe(404);
    expect((await server.api.get('/jobs?status=odd', token)).status).toBe(422);
    const redrive = await server.api.post('/jobs/redrive', { type: 'odd' }, token);
    expect([redrive.status, redrive.body.error.details[0].field]).toEqual([422, 'type']);
  });

  it('refuses what it could not run', async () => {
    await expect(queue.submit('test.nothing' as 'test.work', { name: '' })).rejects.toThrow(/No module declares/);
    await expect(submit('x', { delayMs: -1 })).rejects.toThrow(/delayMs/);
    await expect(submit('x', { priority: 0.5 })).rejects.toThrow(/priority/);
    await expect(queue.submit('test.work', undefined as never)).rejects.toThrow(/not JSON/);
  });

  it(`keeps stats that add up through a random history`, async () => {
    const seed = Number(process.env['JOBS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    process.stdout.write(`JOBS_SEED=${seed}\n`);
    const random = seededRandom(seed);
    work = () => {
      const dice = random();
      if (dice < 0.3) throw new Error('unlucky');
      if (dice < 0.35) throw new UnrecoverableJobError('hopeless');
      return dice < 0.6 ? new Promise((resolve) => setImmediate(resolve)) : undefined;
    };
    const total = async () => Object.values(await queue.stats()).reduce((sum, count) => sum + count, 0);
    const before = await total();
    const ids = new Set<string>();
    let discarded = 0;
    for (let step = 0; step < 150; step += 1) {
      const dice = random();
      if (dice < 0.5) {
        const bulk = Array.from({ length: Math.floor(random() * 8) }, (_, n) => ({
          payload: { name: `${step}.${n}` },
        }));
        for (const id of await queue.submitAll('test.work', bulk)) ids.add(id);
      } else if (dice < 0.6) {
        ids.add(
          await submit('unique', { uniqueKey: `u${Math.floor(random() * 3)}`, delayMs: Math.floor(random() * 5) }),
        );
      } else {
        const id = [...ids][Math.floor(random() * ids.size)];
        if (id === undefined) continue;
        const act = dice < 0.8 ? queue.retry(id) : queue.discard(id).then(() => (discarded += 1));
        await act.catch((error: { code: string }) => expect(['CONFLICT', 'NOT_FOUND']).toContain(error.code));
      }
      if (store === 'database') expect(await total()).toBe(before + ids.size - discarded);
    }
    await worker.idle();
    const counts: Record<string, number> = {};
    for (const id of ids) {
      const job = await queue.get(id).catch(() => undefined);
      if (job) counts[job.state] = (counts[job.state] ?? 0) + 1;
    }
    expect(await total()).toBe(before + ids.size - discarded);
    expect(counts['processing'] ?? 0).toBe(0);
    for (const state of ['completed', 'dead'] satisfies JobState[]) expect(counts[state] ?? 0).toBeGreaterThan(0);
    await queue.redrive('test.work');
  });
});

describe('the job queue across a restart', () => {
  let server: TestServer;
  let queue: JobQueue;
  let worker: JobWorker;
  const bind = () => {
    queue = server.app.get(JobQueue);
    worker = server.app.get(JobWorker);
  };
  beforeEach(async () => {
    [runs, deaths, events] = [new Inbox(), [], []];
    work = slow = onDeath = () => undefined;
    server = await TestServer.start({ SHUTDOWN_GRACE_MS: '400' }, [TestModule]);
    bind();
    await worker.idle();
    [runs, deaths, events] = [new Inbox(), [], []];
  });
  afterEach(() => server.close());

  /** Leaves jobs the way a crash in the middle of their attempt does, and starts again. */
  async function crash(names: string[], crashesBefore = 0): Promise<string[]> {
    const ids = await queue.submitAll(
      'test.fragile',
      names.map((name) => ({ payload: { name }, options: { delayMs: 60_000 } })),
    );
    await server.app.close();
    await server.restartAfter(async (app) => {
      for (const id of ids) {
        const claim = { state: 'processing' as const, lease: 'gone', attempts: crashesBefore + 1 };
        await changeJob(app, id, { ...claim, crashes: crashesBefore });
      }
    });
    bind();
    return ids;
  }

  it('waits for running handlers, gives back what has not begun, and goes on after the start', async () => {
    const held = gate();
    work = ({ name }) => (name === 'first' ? held.opened : undefined);
    const first = await queue.submit('test.work', { name: 'first' });
    await runs.next();
    const later = await queue.submit('test.work', { name: 'later' }, { delayMs: 60_000 });
    const closing = server.app.close();
    held.open();
    await closing;
    await server.restartAfter((app) => changeJob(app, later, { runAt: Date.now() }));
    bind();
    await runs.next(({ name }) => name === 'later');
    await worker.idle();
    expect(await queue.get(first)).toMatchObject({ state: 'completed', attempts: 1 });
    expect(await queue.get(later)).toMatchObject({ state: 'completed', attempts: 1 });
  });

  it('gives a handler that does not end in time back uncounted, and tells it', async () => {
    const reasons: string[] = [];
    work = ({ signal, attempt }) =>
      runs.all.length === 1
        ? new Promise(() => signal.addEventListener('abort', () => reasons.push((signal.reason as Error).message)))
        : expect(attempt).toBe(1);
    const id = await queue.submit('test.work', { name: 'endless' });
    await runs.next();
    await server.restart();
    bind();
    await runs.next(({ attempt }) => attempt === 1);
    await worker.idle();
    expect(reasons).toEqual(['The process is shutting down']);
    expect(await queue.get(id)).toMatchObject({ state: 'completed', attempts: 1, crashes: 0, history: null });
  });

  it('runs what a crash interrupted again within a second, and says so to the handler', async () => {
    const [id = ''] = await crash(['interrupted']);
    const run = await runs.next();
    await worker.idle();
    expect(run).toMatchObject({ name: 'interrupted', attempt: 2, crashes: 1 });
    const job = await queue.get(id);
    expect(job).toMatchObject({ state: 'completed', history: [{ error: 'The process ended during this attempt' }] });
    expect((job.startedAt ?? 0) - (job.history?.[0]?.at ?? 0)).toBeGreaterThanOrEqual(0);
  });

  it('runs jobs that saw two crashes one at a time, and declares one dead at the crash limit', async () => {
    let running = 0;
    let peak = 0;
    work = async () => {
      running += 1;
      peak = Math.max(peak, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    const suspects = await crash(['a', 'b', 'c'], 1);
    await runs.next(({ name }) => name === 'c');
    await worker.idle();
    expect(peak).toBe(1);
    for (const id of suspects) expect(await queue.get(id)).toMatchObject({ state: 'completed', crashes: 2 });

    const [id = ''] = await crash(['killer'], 2);
    await worker.idle();
    expect(await queue.get(id)).toMatchObject({ state: 'dead', crashes: 3 });
    expect(deaths).toEqual(['killer: The process ended during this attempt']);
    expect(runs.all.map(({ name }) => name)).not.toContain('killer');
  });

  it('leaves jobs of a type that nobody handles any more alone, until somebody does', async () => {
    const [id = ''] = await crash(['orphan'], 1);
    await worker.idle();
    await server.app.close();
    const orphan = { type: 'gone.type', state: 'processing' as const, lease: 'gone', finishedAt: null };
    await server.restartAfter((app) => changeJob(app, id, orphan));
    bind();
    await worker.idle();
    expect(await queue.get(id)).toMatchObject({ state: 'failed', crashes: 2 });
    await queue.discard(id);
  });

  it('removes what ended long ago, and nothing else', async () => {
    work = ({ name }) => {
      if (name.startsWith('dead')) throw new UnrecoverableJobError('x');
    };
    const name = (id: string) => queue.get(id).then(({ payload }) => (payload as { name: string }).name);
    const old = await queue.submit('test.work', { name: 'old' });
    const oldDead = await queue.submit('test.work', { name: 'dead' });
    await runs.next(({ name: ran }) => ran === 'dead');
    await worker.idle();
    const DAY = 86_400_000;
    expect(await name(old)).toBe('old');
    const removeOld = (now: number) => (queue as unknown as { removeOld(now: number): Promise<void> }).removeOld(now);
    await removeOld(Date.now() + 6 * DAY);
    expect(await name(old)).toBe('old');
    await removeOld(Date.now() + 8 * DAY);
    server.clockWasMoved = true;
    await expect(queue.get(old)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await name(oldDead)).toBe('dead');
    await removeOld(Date.now() + 91 * DAY);
    await expect(queue.get(oldDead)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

@Injectable()
class OneHandler {
  @JobHandler('test.work')
  one(): void {}
}

describe('a job type that cannot work stops the start and says why', () => {
  const startWith = (module: Type) => TestServer.start({}, [module]).then((server) => server.close());

  it('without a handler', async () => {
    @Module({ imports: [JobsModule.forFeature({ 'test.work': {} })] })
    class WithoutHandler {}
    await expect(startWith(WithoutHandler)).rejects.toThrow(
      `The job type "test.work" has no handler: put @JobHandler('test.work') on a method of a provider.`,
    );
  });

  it('with two handlers', async () => {
    @Injectable()
    class Two {
      @JobHandler('test.work')
      one(): void {}
      @JobHandler('test.work')
      two(): void {}
    }
    @Module({ imports: [JobsModule.forFeature({ 'test.work': {} })], providers: [Two] })
    class Doubled {}
    await expect(startWith(Doubled)).rejects.toThrow(/'test\.work'\) on Two\.one and .* on Two\.two: only one/);
  });

  it('with an option that no job could be run by', async () => {
    for (const [option, value] of [
      ['concurrency', 0],
      ['timeoutMs', 2 ** 31],
      ['maxAttempts', Number.NaN],
    ] as const) {
      @Module({ imports: [JobsModule.forFeature({ 'test.work': { [option]: value } })], providers: [OneHandler] })
      class Odd {}
      await expect(startWith(Odd)).rejects.toThrow(
        `The job type "test.work" has ${option} ${value}: choose one from 1`,
      );
    }
  });

  it('with a handler for a type nobody declares', async () => {
    @Injectable()
    class Lonely {
      @JobHandler('test.work')
      one(): void {}
    }
    @Module({ providers: [Lonely] })
    class Undeclared {}
    await expect(startWith(Undeclared)).rejects.toThrow(/Lonely\.one: no module declares this job type/);
  });

  it('with a method that cannot take the payload, at compile time', () => {
    class Wrong {
      // @ts-expect-error -- the payload has a name, not a number
      @JobHandler('test.work')
      wrong(_payload: number): void {}
      // @ts-expect-error -- there is no such type
      @JobHandler('test.nothing')
      nothing(): void {}
      // @ts-expect-error -- a login that failed has no user id
      @DurableReader({ name: 'wrong', events: ['login.failed'] })
      event(event: DomainEvent<'logout'>): unknown {
        return event.payload.userId;
      }
    }
    expect(Wrong).toBeDefined();
  });
});
