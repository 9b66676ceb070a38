import { AsyncResource } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { AsyncVariable } from '../common/async-variable.js';
import { inSpan } from '../telemetry/spans.js';

/** Injection token of the one connection that writes. Nothing but UnitOfWork and the database's own start uses it. */
export const WRITER = Symbol('writer data source');

/** One transaction in the making. */
interface Unit {
  readonly manager: EntityManager;
  readonly beforeCommit: ((tx: EntityManager) => Promise<unknown>)[];
  readonly afterCommit: (() => void)[];
  /** Why the unit can only roll back: what a nested unit threw. */
  failure?: { readonly cause: unknown };
  over: boolean;
}

/** Thrown at work that was started inside a unit of work and is still going when the unit is over. */
export class UnitOfWorkOverError extends Error {
  override readonly name = 'UnitOfWorkOverError';
  constructor() {
    super('This work was started inside a unit of work that is over: await it there, or start it outside.');
  }
}

/** A unit that waits for its turn. */
interface Waiting {
  /** Of whoever asked: a unit runs in that context, whoever's turn was before. */
  context: AsyncResource;
  work: (tx: EntityManager) => Promise<unknown>;
  resolve: (value: unknown) => void;
  reject: (reason: unknown) => void;
}

/** How a unit ended whose transaction is not committed yet. */
type Ended = Waiting & { unit: Unit } & ({ value: unknown } | { cause: unknown });

/** The most units that share one commit, and how long the first of them may wait for the last. */
const GROUP_LIMIT = 64;
const GROUP_MS = 10;

/**
 * The only way to write: runs a function in one database transaction.
 *
 * TypeORM has one SQLite connection per data source and one transaction depth for every request that uses it, so a
 * `save()` acknowledged to one request can land in another's open transaction and vanish with its rollback. Here one
 * connection writes, units take it one after the other in the order they asked, and nobody else can reach it.
 *
 * Units that wait share one commit, which costs as much as many of them: each is a savepoint, so that one that fails
 * takes nothing of the others with it, and each is settled only when all of them are on the disk.
 *
 * Never await the network, a password hash or a timer inside a unit: every other writer waits for it.
 */
@Injectable()
export class UnitOfWork {
  private readonly logger = new Logger(UnitOfWork.name);
  private readonly current = new AsyncVariable<Unit>();
  private readonly waiting: Waiting[] = [];
  private working: Promise<void> | undefined;

  constructor(@Inject(WRITER) private readonly writer: DataSource) {}

  /**
   * Runs `work` in a transaction and resolves with its result once that is committed.
   *
   * Inside another unit it joins that one. When `work` throws, nothing of the unit remains; a nested failure rolls the
   * whole unit back, also when the outer work catches it.
   *
   * @throws what `work` throws, or what the database answers to the commit.
   */
  async run<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    const outer = this.current.get();
    if (outer) return this.join(outer, work);
    // From the moment it waits for its turn to the commit.
    return inSpan('unit of work', {}, () => this.enqueue(work));
  }

  private enqueue<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const context = new AsyncResource('UnitOfWork');
      this.waiting.push({ context, work, resolve: resolve as (value: unknown) => void, reject });
      this.working ??= this.workOff();
    });
  }

  /** Runs `write` as the last thing before the current unit commits, in the order of the calls. */
  beforeCommit(write: (tx: EntityManager) => Promise<unknown>): void {
    this.require().beforeCommit.push(write);
  }

  /** Calls `listener` once the current unit is committed; never when it rolls back. What it throws is logged. */
  afterCommit(listener: () => void): void {
    this.require().afterCommit.push(listener);
  }

  /** Whether a unit is under way here. */
  get isInside(): boolean {
    return this.current.get()?.over === false;
  }

  /** Runs `work` as if no unit were under way: what it starts is no part of the current one. */
  detached<T>(work: () => T): T {
    return this.current.run(undefined, work);
  }

  /** Resolves once no unit runs and none waits. */
  async idle(): Promise<void> {
    while (this.working) await this.working;
  }

  /**
   * Lets whatever reads through another data source read inside of a unit what the unit has written, and what the units
   * have that share its commit.
   */
  lendTo(reader: DataSource): void {
    const createRunner = reader.createQueryRunner.bind(reader);
    reader.createQueryRunner = (mode) => {
      const unit = this.current.get();
      return unit && !unit.over ? (unit.manager.queryRunner as QueryRunner) : createRunner(mode);
    };
  }

  private require(): Unit {
    const unit = this.current.get();
    if (!unit) throw new Error('There is no unit of work here: call this inside UnitOfWork.run().');
    if (unit.over) throw new UnitOfWorkOverError();
    return unit;
  }

  private async join<T>(unit: Unit, work: (tx: EntityManager) => Promise<T>): Promise<T> {
    if (unit.over) throw new UnitOfWorkOverError();
    try {
      return await work(unit.manager);
    } catch (error) {
      unit.failure ??= { cause: error };
      throw error;
    }
  }

  private async workOff(): Promise<void> {
    while (this.waiting.length > 0) {
      // SQLite answers at once and blocks the loop meanwhile: without a turn of it, every group would be of one unit.
      await setImmediate();
      await this.commitGroup();
    }
    this.working = undefined;
  }

  /** Runs the units that wait, and those that come meanwhile, in one transaction. */
  private async commitGroup(): Promise<void> {
    const connection = this.writer.createQueryRunner();
    const until = performance.now() + GROUP_MS;
    const ended: Ended[] = [];
    let failure: { cause: unknown } | undefined;
    let current: Waiting | undefined;
    try {
      await connection.query('BEGIN');
      do {
        current = this.waiting.shift() as Waiting;
        ended.push(await this.execute(current, connection));
        current = undefined;
      } while (this.waiting.length > 0 && ended.length < GROUP_LIMIT && performance.now() < until);
      await connection.query('COMMIT');
    } catch (cause) {
      failure = { cause };
      // Where not even the transaction began, the unit it was begun for must hear of it.
      current ??= ended.length === 0 ? this.waiting.shift() : undefined;
      current?.reject(cause);
      await connection.query('ROLLBACK').catch((error: unknown) => {
        // SQLite rolls back by itself when the disk is full or fails.
        this.logger.warn({ msg: 'there was no transaction to roll back', err: error });
      });
    }
    for (const one of ended) this.settle(one, failure);
  }

  private settle(ended: Ended, failure: { cause: unknown } | undefined): void {
    if ('cause' in ended) return ended.reject(ended.cause);
    if (failure) return ended.reject(failure.cause);
    // Outside of any unit, so that what the listeners start is not taken for work that outlived it.
    for (const listener of ended.unit.afterCommit) {
      try {
        ended.context.runInAsyncScope(() => this.detached(listener));
      } catch (error) {
        // It is committed, whatever a listener makes of it.
        this.logger.error({ msg: 'an after-commit listener failed', err: error });
      }
    }
    ended.resolve(ended.value);
  }

  private async execute(waiting: Waiting, connection: QueryRunner): Promise<Ended> {
    const view = viewOf(connection);
    const unit: Unit = {
      manager: this.writer.createEntityManager(view.runner),
      beforeCommit: [],
      afterCommit: [],
      over: false,
    };
    // The end is in the order that matters: nothing new starts, what has started is through, then the savepoint ends.
    const close = async (): Promise<void> => {
      unit.over = true;
      await view.close();
    };
    await connection.query('SAVEPOINT unit');
    try {
      const run = async (): Promise<unknown> => {
        const result = await waiting.work(unit.manager);
        for (const write of unit.beforeCommit) await write(unit.manager);
        return result;
      };
      const value = await waiting.context.runInAsyncScope(() => this.current.run(unit, run));
      await close();
      if (unit.failure) throw unit.failure.cause;
      await connection.query('RELEASE unit');
      return { ...waiting, unit, value };
    } catch (cause) {
      await close();
      await connection.query('ROLLBACK TO unit');
      await connection.query('RELEASE unit');
      return { ...waiting, unit, cause };
    }
  }
}

/**
 * Makes a view of the one query runner that can be closed for good.
 *
 * TypeORM hands out one runner for the whole SQLite connection, its `release()` does nothing, and a `save()` that finds
 * no transaction begins one of its own. A view is in a transaction for as long as it lives, and once closed it refuses
 * queries, so that work nobody awaited can neither write after the unit nor begin a transaction that nobody ends.
 */
function viewOf(connection: QueryRunner): { runner: QueryRunner; close: () => Promise<void> } {
  const underway = new Set<Promise<unknown>>();
  const runner = Object.create(connection, {
    isReleased: { value: false, writable: true },
    isTransactionActive: { value: true, writable: true },
    transactionDepth: { value: 1, writable: true },
    query: {
      value: (...query: Parameters<QueryRunner['query']>): Promise<unknown> => {
        const answer = connection.query.call(runner, ...query);
        underway.add(answer);
        void Promise.allSettled([answer]).then(() => underway.delete(answer));
        return answer;
      },
    },
  }) as QueryRunner;
  return {
    runner,
    async close() {
      Object.assign(runner, { isReleased: true });
      await Promise.allSettled(underway);
    },
  };
}
