import { Inject, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Config } from '../config/config.js';
import { readerOptions, settingsOf, type DatabaseSettings } from './data-source-options.js';
import { HotQueries } from './hot-queries.service.js';
import { Housekeeping } from './housekeeping.service.js';
import { Instances, OnlyInstance } from './instances.js';
import { openWriter } from './open-writer.js';
import { PostgresInstances } from './postgres-instances.js';
import { RateLimitCounts } from './rate-limit-counts.service.js';
import { SecretCipher } from './secret-cipher.service.js';
import { poolOf } from './sql.js';
import { SqliteLock } from './sqlite-lock.js';
import { UnitOfWork, WRITER } from './unit-of-work.js';

const LOCK = Symbol('database lock');

/** The database: repositories that read, a {@link UnitOfWork} that writes, migrations run at start. */
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(
    @Inject(WRITER) private readonly writer: DataSource,
    @Inject(LOCK) private readonly lock: SqliteLock | undefined,
    private readonly unitOfWork: UnitOfWork,
    private readonly instances: Instances,
    reader: DataSource,
  ) {
    unitOfWork.lendTo(reader);
  }

  static forRoot(tables: Pick<DatabaseSettings, 'entities' | 'migrations'>): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      imports: [
        TypeOrmModule.forRootAsync({
          // The writer is injected only for the order: the tables must be there before anybody reads.
          inject: [Config, WRITER],
          useFactory: (config: Config) => ({ ...readerOptions(settingsOf(config, tables)), retryAttempts: 0 }),
        }),
      ],
      providers: [
        {
          provide: LOCK,
          inject: [Config],
          useFactory: ({ DATABASE_URL: database }: Config) =>
            database.kind === 'sqlite' ? SqliteLock.acquire(database.file) : undefined,
        },
        {
          provide: WRITER,
          inject: [Config, LOCK],
          useFactory: async (config: Config, lock: SqliteLock | undefined) => {
            try {
              return await openWriter(settingsOf(config, tables));
            } catch (error) {
              lock?.release();
              throw error;
            }
          },
        },
        UnitOfWork,
        {
          provide: Instances,
          inject: [Config, UnitOfWork, WRITER, DataSource],
          useFactory: ({ DATABASE_URL: database }: Config, unitOfWork: UnitOfWork, ...sources: DataSource[]) =>
            database.kind === 'postgres'
              ? PostgresInstances.connect(database.url, unitOfWork, sources.map(poolOf))
              : new OnlyInstance(),
        },
        HotQueries,
        Housekeeping,
        RateLimitCounts,
        SecretCipher,
      ],
      exports: [WRITER, UnitOfWork, Instances, HotQueries, Housekeeping, RateLimitCounts, SecretCipher],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.instances.leave();
    await this.unitOfWork.idle();
    await this.writer.destroy();
    this.lock?.release();
  }
}
