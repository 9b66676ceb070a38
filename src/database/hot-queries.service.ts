import { Injectable } from '@nestjs/common';
import type { Database, Statement } from 'better-sqlite3';
import { DataSource } from 'typeorm';
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
  constructor(
    private readonly reader: DataSource,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @param sql - with `?` for each parameter. */
  prepare<T>(sql: string): HotQuery<T> {
    let statement: Statement | undefined;
    return async (...parameters) => {
      if (this.unitOfWork.isInside) return this.reader.query<T[]>(sql, parameters);
      const { databaseConnection } = this.reader.driver as unknown as { databaseConnection: Database };
      statement ??= databaseConnection.prepare(sql);
      return statement.all(...parameters) as T[];
    };
  }
}
