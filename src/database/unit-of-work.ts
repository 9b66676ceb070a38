import { AsyncLocalStorage } from 'node:async_hooks';
import { Inject, Injectable } from '@nestjs/common';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

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

/**
 * The only way to write: runs a function in one database transaction.
 *
 * TypeORM has one SQLite connection per data source and one transaction depth for every request that uses it, so a
 * `save()` acknowledged to one request can land in another's open transaction and vanish with its rollback. Here one
 * connection writes, units take it one after the other in the order they asked, and nobody else can reach it.
 *
 * Never await the network, a password hash or a timer inside a unit: every other writer waits for it.
 */
@Injectable()
export class UnitOfWork {
  private readonly current = new AsyncLocalStorage<Unit | undefined>();
  private lastTurn: Promise<unknown> = Promise.resolve();

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
    const outer = this.current.getStore();
    if (outer) return this.join(outer, work);
    const turn = this.lastTurn.then(() => this.execute(work));
    this.lastTurn = turn.catch(() => undefined);
    return turn;
  }

  /** Runs `write` as the last thing before the current unit commits, in the order of the calls. */
  beforeCommit(write: (tx: EntityManager) => Promise<unknown>): void {
    this.require().beforeCommit.push(write);
  }

  /** Calls `listener` once the current unit is committed; never when it rolls back. It must not throw. */
  afterCommit(listener: () => void): void {
    this.require().afterCommit.push(listener);
  }

  /** Runs `work` as if no unit were under way: what it starts is no part of the current one. */
  detached<T>(work: () => T): T {
    return this.current.run(undefined, work);
  }

  /** Resolves once every unit that has asked for its turn so far is over. */
  async idle(): Promise<void> {
    await this.lastTurn;
  }

  private require(): Unit {
    const unit = this.current.getStore();
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

  private async execute<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    const connection = this.writer.createQueryRunner();
    const view = viewOf(connection);
    const unit: Unit = {
      manager: this.writer.createEntityManager(view.runner),
      beforeCommit: [],
      afterCommit: [],
      over: false,
    };
    // The end is in the order that matters: nothing new starts, what has started is through, then the transaction ends.
    const close = async (): Promise<void> => {
      unit.over = true;
      await view.close();
    };
    await connection.query('BEGIN');
    let result: T;
    try {
      result = await this.current.run(unit, async () => {
        const value = await work(unit.manager);
        for (const write of unit.beforeCommit) await write(unit.manager);
        return value;
      });
      await close();
      if (unit.failure) throw unit.failure.cause;
      await connection.query('COMMIT');
    } catch (error) {
      await close();
      await connection.query('ROLLBACK');
      throw error;
    }
    // Outside the unit, so that what the listeners start is not taken for work that outlived it.
    this.detached(() => unit.afterCommit.forEach((listener) => listener()));
    return result;
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
