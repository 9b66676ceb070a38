import { Global, Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { Config } from '../config/config.js';
import { Instances } from '../database/instances.js';
import { UnitOfWork, WRITER } from '../database/unit-of-work.js';
import { BossJobStore } from './boss-job-store.service.js';
import { BossJobWorker } from './boss-job-worker.service.js';
import { DurableReaders } from './durable-readers.service.js';
import { DurableJobDatabase, JobDatabase, MemoryJobDatabase } from './job-database.service.js';
import { JobQueue } from './job-queue.service.js';
import { JobReconciliation } from './job-reconciliation.service.js';
import { JobDeclarations, JobRegistry } from './job-registry.service.js';
import { JobStore } from './job-store.service.js';
import { JobWorker } from './job-worker.service.js';
import { SqliteJobStore } from './sqlite-job-store.service.js';
import { SqliteJobWorker } from './sqlite-job-worker.service.js';
import { JobsController } from './jobs.controller.js';

/** Work that must happen: the queue, its worker, and the durable readers of the journal that are built on it. */
@Global()
@Module({
  imports: [DiscoveryModule],
  controllers: [JobsController],
  providers: [
    {
      provide: JobDatabase,
      inject: [Config, UnitOfWork, getDataSourceToken()],
      useFactory: (config: Config, units: UnitOfWork, reader: DataSource) =>
        config.JOBS_STORE === 'memory' ? MemoryJobDatabase.open(units) : new DurableJobDatabase(reader.manager, units),
    },
    {
      provide: JobStore,
      inject: [Config, JobDatabase, WRITER, Instances],
      useFactory: (config: Config, database: JobDatabase, writer: DataSource, instances: Instances) =>
        runsOnBoss(config) ? BossJobStore.open(database, writer, instances) : new SqliteJobStore(database),
    },
    JobRegistry,
    JobQueue,
    {
      provide: JobWorker,
      inject: [Config, JobRegistry, JobStore, Instances],
      useFactory: (config: Config, registry: JobRegistry, store: JobStore, instances: Instances) =>
        store instanceof BossJobStore
          ? new BossJobWorker(config, registry, store, instances)
          : new SqliteJobWorker(config, registry, store as SqliteJobStore),
    },
    DurableReaders,
    JobReconciliation,
  ],
  exports: [JobQueue, JobWorker, DurableReaders],
})
export class JobsModule {
  /** Declares job types; a module that submits a type or handles it imports this. */
  static forFeature(types: JobDeclarations['types']): DynamicModule {
    return {
      module: JobTypesModule,
      providers: [{ provide: JobDeclarations, useValue: new JobDeclarations(types) }],
    };
  }
}

/** Whether jobs are in PostgreSQL. In memory they are in a table of SQLite, whatever the service's database is. */
function runsOnBoss({ DATABASE_URL: database, JOBS_STORE: store }: Config): boolean {
  return database.kind === 'postgres' && store === 'database';
}

/** Holds the declarations of one module. */
@Module({})
class JobTypesModule {}
