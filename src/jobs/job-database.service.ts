import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { UnitOfWork } from '../database/unit-of-work.js';
import { JobRow } from './job.entity.js';

/** Where the table of jobs is: in the service's database, or in memory. */
export abstract class JobDatabase {
  /** Reads what is committed. */
  abstract readonly reader: EntityManager;
  /** The transactions of the table. */
  abstract readonly units: UnitOfWork;

  /** Writes with the caller's unit of work: it is there if, and only if, that one commits. */
  abstract enlist(write: (tx: EntityManager) => Promise<unknown>): Promise<void>;

  /** Reads what the caller's unit of work has written so far, and lets nobody write before `work` is done, where it can. */
  abstract look<T>(work: (tx: EntityManager) => Promise<T>): Promise<T>;
}

/** `JOBS_STORE=database`: jobs commit with the change that caused them, and survive the process. */
export class DurableJobDatabase extends JobDatabase {
  constructor(
    readonly reader: EntityManager,
    readonly units: UnitOfWork,
  ) {
    super();
  }

  async enlist(write: (tx: EntityManager) => Promise<unknown>): Promise<void> {
    await this.units.run(write);
  }

  look<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return this.units.run(work);
  }
}

/** `JOBS_STORE=memory`: the same table in a database that ends with the process, for tests and throw-away use. */
export class MemoryJobDatabase extends JobDatabase implements OnApplicationShutdown {
  private readonly logger = new Logger(MemoryJobDatabase.name);
  readonly reader: EntityManager;
  readonly units: UnitOfWork;

  private constructor(
    private readonly source: DataSource,
    private readonly callers: UnitOfWork,
  ) {
    super();
    this.reader = source.manager;
    this.units = new UnitOfWork(source);
  }

  /** @param callers - the units of the service's database, with which jobs are submitted. */
  static async open(callers: UnitOfWork): Promise<MemoryJobDatabase> {
    const source = new DataSource({ type: 'better-sqlite3', database: ':memory:', entities: [JobRow] });
    await source.initialize();
    await source.synchronize();
    return new MemoryJobDatabase(source, callers);
  }

  async enlist(write: (tx: EntityManager) => Promise<unknown>): Promise<void> {
    let written: Promise<unknown> | undefined;
    await this.callers.run(async () => {
      this.callers.afterCommit(() => {
        // Detached: the caller may itself be called from a unit of this table, which is ending.
        written = this.units
          .detached(() => this.units.run(write))
          .catch((error: unknown) => this.logger.error({ msg: 'a job was lost', err: error }));
      });
    });
    // Inside of a unit that is not over nothing is written yet.
    await written;
  }

  /** Not through the gate: whoever holds it may be waiting for the caller's. */
  look<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return work(this.reader);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.units.idle();
    await this.source.destroy();
  }
}
