import { Logger } from '@nestjs/common';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Gate, PendingUnit } from './gate.js';

/** How often a unit is run that another one's locks have ended. */
const MAX_RUNS = 5;
/** `deadlock_detected` and `serialization_failure`: nothing of the unit remains, and a second run may well succeed. */
const TRANSIENT = new Set(['40P01', '40001']);

/**
 * A transaction for each unit, as many at a time as there are connections, in as many processes as there are.
 *
 * At `READ COMMITTED`, which lets the journal see at the end of a unit what others have committed meanwhile. What a unit
 * reads and then decides by is locked by name: {@link UnitOfWork.lock}.
 */
export class PostgresGate implements Gate {
  private readonly logger = new Logger(PostgresGate.name);
  private readonly running = new Set<Promise<void>>();

  constructor(private readonly writer: DataSource) {}

  admit(unit: PendingUnit): void {
    const run = this.run(unit).finally(() => this.running.delete(run));
    this.running.add(run);
  }

  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
  }

  private async run(unit: PendingUnit): Promise<void> {
    for (let runs = 1; ; runs += 1) {
      const connection = this.writer.createQueryRunner();
      try {
        await connection.query('BEGIN');
        await unit.execute(connection);
        await commit(connection);
      } catch (cause) {
        await this.rollBack(connection);
        if (runs < MAX_RUNS && TRANSIENT.has(codeOf(cause))) continue;
        return unit.failed(cause);
      } finally {
        await connection.release();
      }
      return unit.committed();
    }
  }

  private async rollBack(connection: QueryRunner): Promise<void> {
    await connection.query('ROLLBACK').catch((error: unknown) => {
      // The connection is gone, and the server rolls back by itself.
      this.logger.warn({ msg: 'a transaction was not rolled back', err: error });
    });
  }
}

/** Commits. A transaction in which a statement failed cannot be: PostgreSQL then rolls back, and calls that no error. */
async function commit(connection: QueryRunner): Promise<void> {
  const client = (await connection.connect()) as { query: (sql: string) => Promise<{ command: string }> };
  const { command } = await client.query('COMMIT');
  if (command !== 'COMMIT') throw new Error('A statement of the unit failed, so nothing of it was committed');
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code);
}
