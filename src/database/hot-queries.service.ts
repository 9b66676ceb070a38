import { Injectable } from '@nestjs/common';
import type { Database, Statement } from 'better-sqlite3';
import { DataSource } from 'typeorm';
import { isPostgres, poolOf, sqlFor } from './sql.js';
import { UnitOfWork } from './unit-of-work.js';

/** Asks a prepared question. */
export type HotQuery<T> = (...parameters: unknown[]) => Promise<T[]>;

/**
 * Questions that come with every request: prepared once, and asked past TypeORM, which costs more than SQLite does.
 *
 * Inside of a unit of work they are asked the usual way, and see what the unit has written.
 */
@Injectable()
export class HotQueries {
  private count = 0;

  constructor(
    private readonly reader: DataSource,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @param question - SQL with `?` for each parameter. */
  prepare<T>(question: string): HotQuery<T> {
    const sql = sqlFor(this.reader, question);
    const ask = isPostgres(this.reader) ? this.prepareOnServer<T>(sql) : this.prepareOnFile<T>(sql);
    return async (...parameters) =>
      this.unitOfWork.isInside ? this.reader.query<T[]>(sql, parameters) : ask(parameters);
  }

  private prepareOnFile<T>(sql: string) {
    let statement: Statement | undefined;
    return (parameters: unknown[]): T[] => {
      const { databaseConnection } = this.reader.driver as unknown as { databaseConnection: Database };
      statement ??= databaseConnection.prepare(sql);
      return statement.all(...parameters) as T[];
    };
  }

  private prepareOnServer<T>(text: string) {
    // Under its name each connection prepares it once.
    const name = `herald ${(this.count += 1)}`;
    return async (values: unknown[]): Promise<T[]> => {
      const { rows } = await poolOf(this.reader).query<T & object>({ name, text, values });
      return rows;
    };
  }
}
