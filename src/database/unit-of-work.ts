import { AsyncResource } from 'node:async_hooks';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { AsyncVariable } from '../common/async-variable.js';
import { inSpan } from '../telemetry/spans.js';
import type { Gate, Statement } from './gate.js';
import { PostgresGate } from './postgres-gate.js';
import { SqliteGate } from './sqlite-gate.js';

/** Injection token of whoever may write: UnitOfWork, the database's own start and counts, and pg-boss; nobody else uses it. */
export const WRITER = Symbol('writer data source');

/** One after the other, in the order of the names. */
const LOCK = 'SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS name';

/** One transaction in the making. */
interface Unit {
  readonly manager: EntityManager;
  readonly beforeCommit: ((tx: EntityManager) => Promise<unknown>)[];
  readonly afterCommit: (() => void)[];
  /** What is run together with the commit. */
  readonly last: Statement[];
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
 * On SQLite one unit runs after the other, on PostgreSQL many at a time ({@link SqliteGate}, {@link PostgresGate}).
 *
 * Never await the network, a password hash or a timer inside a unit: others wait for its connection, and for its locks.
 */
@Injectable()
export class UnitOfWork {
  private readonly logger = new Logger(UnitOfWork.name);
  private readonly current = new AsyncVariable<Unit>();
  private readonly gate: Gate;
  private readonly isShared: boolean;

  constructor(@Inject(WRITER) private readonly writer: DataSource) {
    this.isShared = writer.options.type === 'postgres';
    this.gate = this.isShared ? new PostgresGate(writer) : new SqliteGate(writer);
  }

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
      // Of whoever asked: a unit runs in that context, whoever's turn was before.
      const context = new AsyncResource('UnitOfWork');
      let done: { unit: Unit; value: T } | undefined;
      this.gate.admit({
        execute: async (connection) => {
          done = await this.execute(connection, context, work);
          return done.unit.last;
        },
        committed: () => {
          const { unit, value } = done as { unit: Unit; value: T };
          this.tellCommitted(unit, context);
          resolve(value);
        },
        failed: reject,
      });
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
    await this.gate.idle();
  }

  /**
   * Lets no other unit, in any process, that locks one of the same names go on before this one has ended. For what a unit
   * reads and then decides by: a count, a state, the absence of a row.
   *
   * Whoever takes several one after the other takes them in the order of the alphabet, and before it writes: two that wait
   * for each other cost a second, and one of them runs again.
   *
   * On SQLite, where one unit runs at a time, it has nothing to do.
   */
  async lock(...names: string[]): Promise<void> {
    const { manager } = this.require();
    if (!this.isShared) return;
    // In one order for everybody, so that no two wait for each other.
    await manager.query(LOCK, [names.toSorted()]);
  }

  /**
   * Locks a name and then asks something without parameters, on PostgreSQL in one round trip. It sees what whoever held the
   * lock before has committed.
   */
  async lockAndAsk<T>(name: string, question: string): Promise<T[]> {
    const { manager } = this.require();
    if (!this.isShared) return manager.query<T[]>(question);
    const client = (await manager.queryRunner?.connect()) as { query: (sql: string) => Promise<{ rows: T[] }[]> };
    const lock = `SELECT pg_advisory_xact_lock(hashtextextended('${name}', 0))`;
    const [, answer] = await client.query(`${lock}; ${question}`);
    return answer?.rows ?? [];
  }

  /** Runs a statement at the very end of the current unit; on PostgreSQL in one round trip with the commit. */
  async endWith(statement: Statement): Promise<void> {
    const unit = this.require();
    if (this.isShared) unit.last.push(statement);
    else await unit.manager.query(statement.sql, [...statement.parameters]);
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

  private tellCommitted(unit: Unit, context: AsyncResource): void {
    // Outside of any unit, so that what the listeners start is not taken for work that outlived it.
    for (const listener of unit.afterCommit) {
      try {
        context.runInAsyncScope(() => this.detached(listener));
      } catch (error) {
        // It is committed, whatever a listener makes of it.
        this.logger.error({ msg: 'an after-commit listener failed', err: error });
      }
    }
  }

  private async execute<T>(
    connection: QueryRunner,
    context: AsyncResource,
    work: (tx: EntityManager) => Promise<T>,
  ): Promise<{ unit: Unit; value: T }> {
    const view = viewOf(connection, this.isShared);
    const unit: Unit = {
      manager: this.writer.createEntityManager(view.runner),
      beforeCommit: [],
      afterCommit: [],
      last: [],
      over: false,
    };
    // In the order that matters: nothing new starts, what has started is through, then the transaction ends.
    const close = async (): Promise<void> => {
      unit.over = true;
      await view.close();
    };
    const run = async (): Promise<T> => {
      const result = await work(unit.manager);
      for (const write of unit.beforeCommit) await write(unit.manager);
      return result;
    };
    const value = await context.runInAsyncScope(() => this.current.run(unit, run)).finally(close);
    if (unit.failure) throw unit.failure.cause;
    return { unit, value };
  }
}

/**
 * Makes a view of a query runner that can be closed for good.
 *
 * On SQLite TypeORM hands out one runner for the whole connection, its `release()` does nothing, and a `save()` that finds
 * no transaction begins one of its own. A view is in a transaction for as long as it lives, and once closed it refuses
 * queries, so that work nobody awaited can neither write after the unit nor begin a transaction that nobody ends.
 *
 * @param isSerial - lets one query run after the other, where the connection takes one at a time.
 */
function viewOf(connection: QueryRunner, isSerial: boolean): { runner: QueryRunner; close: () => Promise<void> } {
  const underway = new Set<Promise<unknown>>();
  let last: Promise<unknown> = Promise.resolve();
  const runner = Object.create(connection, {
    isReleased: { value: false, writable: true },
    isTransactionActive: { value: true, writable: true },
    transactionDepth: { value: 1, writable: true },
    // Whoever reads with the unit gives back what was lent; the unit ends on its own.
    release: { value: () => Promise.resolve() },
    query: {
      value: (...query: Parameters<QueryRunner['query']>): Promise<unknown> => {
        const ask = (): Promise<unknown> => connection.query.call(runner, ...query);
        const answer = isSerial ? last.then(ask, ask) : ask();
        last = answer;
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
