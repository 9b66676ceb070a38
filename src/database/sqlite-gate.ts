import { setImmediate } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Gate, PendingUnit } from './gate.js';

/** The most units that share one commit, and how long the first of them may wait for the last. */
const GROUP_LIMIT = 64;
const GROUP_MS = 10;

/** How a unit ended whose transaction is not committed yet. */
interface Ended {
  unit: PendingUnit;
  failure?: { readonly cause: unknown };
}

/**
 * One transaction after the other, on the one connection that writes.
 *
 * TypeORM has one SQLite connection per data source and one transaction depth for every request that uses it, so a
 * `save()` acknowledged to one request can land in another's open transaction and vanish with its rollback. Here units
 * take the connection one after the other in the order they asked, and nobody else can reach it.
 *
 * Units that wait share one commit, which costs as much as many of them: each is a savepoint, so that one that fails
 * takes nothing of the others with it, and each is told only when all of them are on the disk.
 */
export class SqliteGate implements Gate {
  private readonly logger = new Logger(SqliteGate.name);
  private readonly waiting: PendingUnit[] = [];
  private working: Promise<void> | undefined;

  constructor(private readonly writer: DataSource) {}

  admit(unit: PendingUnit): void {
    this.waiting.push(unit);
    this.working ??= this.workOff();
  }

  async idle(): Promise<void> {
    while (this.working) await this.working;
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
    let current: PendingUnit | undefined;
    try {
      await connection.query('BEGIN');
      do {
        current = this.waiting.shift() as PendingUnit;
        ended.push(await execute(current, connection));
        current = undefined;
      } while (this.waiting.length > 0 && ended.length < GROUP_LIMIT && performance.now() < until);
      await connection.query('COMMIT');
    } catch (cause) {
      failure = { cause };
      // Where not even the transaction began, the unit it was begun for must hear of it.
      current ??= ended.length === 0 ? this.waiting.shift() : undefined;
      current?.failed(cause);
      await connection.query('ROLLBACK').catch((error: unknown) => {
        // SQLite rolls back by itself when the disk is full or fails.
        this.logger.warn({ msg: 'there was no transaction to roll back', err: error });
      });
    }
    for (const one of ended) {
      const cause = one.failure ?? failure;
      if (cause) one.unit.failed(cause.cause);
      else one.unit.committed();
    }
  }
}

async function execute(unit: PendingUnit, connection: QueryRunner): Promise<Ended> {
  await connection.query('SAVEPOINT unit');
  try {
    await unit.execute(connection);
    await connection.query('RELEASE unit');
    return { unit };
  } catch (cause) {
    await connection.query('ROLLBACK TO unit');
    await connection.query('RELEASE unit');
    return { unit, failure: { cause } };
  }
}
