import { Logger } from '@nestjs/common';
import { isConnectionLost, isDatabaseAway } from '../common/database-away.js';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Gate, PendingUnit, Statement } from './gate.js';

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
      let hasBegun = false;
      try {
        await connection.query('BEGIN');
        hasBegun = true;
        await commit(connection, await unit.execute(connection));
      } catch (cause) {
        await this.rollBack(connection);
        if (runs < MAX_RUNS && TRANSIENT.has(codeOf(cause))) continue;
        // A connection of the pool that broke while nobody used it: the next one is new.
        if (runs === 1 && !hasBegun && isConnectionLost(cause)) continue;
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
      const level = isDatabaseAway(error) ? 'debug' : 'warn';
      this.logger[level]({ msg: 'a transaction was not rolled back', err: error });
    });
  }
}

/** What is used of a connection of the `pg` package. */
interface Client {
  query: (sql: string) => Promise<Answer | Answer[]>;
  escapeLiteral: (text: string) => string;
}

interface Answer {
  command: string;
}

/**
 * Commits, with the last statements in the same round trip: the locks that they need are held no longer than that.
 *
 * A transaction in which a statement failed cannot be committed: PostgreSQL then rolls back, and calls that no error.
 */
async function commit(connection: QueryRunner, last: readonly Statement[]): Promise<void> {
  const client = (await connection.connect()) as Client;
  const statements = [...last.map((statement) => written(statement, client)), 'COMMIT'];
  const answers = [await client.query(statements.join('; '))].flat();
  if (answers.at(-1)?.command === 'COMMIT') return;
  throw new Error('A statement of the unit failed, so nothing of it was committed');
}

/** Writes a statement with its parameters in it: of several that are sent at once, none can have any beside it. */
function written({ sql, parameters }: Statement, client: Client): string {
  let count = 0;
  return sql.replaceAll('?', () => {
    const value = parameters[count] ?? null;
    count += 1;
    return value === null ? 'NULL' : client.escapeLiteral(String(value));
  });
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code);
}
