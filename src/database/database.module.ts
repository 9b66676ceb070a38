import { Inject, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Config } from '../config/config.js';
import { readerOptions, writerOptions, type DatabaseSettings } from './data-source-options.js';
import { HotQueries } from './hot-queries.service.js';
import { Housekeeping } from './housekeeping.service.js';
import { SecretCipher } from './secret-cipher.service.js';
import { SqliteLock } from './sqlite-lock.js';
import { UnitOfWork, WRITER } from './unit-of-work.js';

const LOCK = Symbol('database lock');

/** The database: repositories that read, a {@link UnitOfWork} that writes, migrations run at start. */
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(
    @Inject(WRITER) private readonly writer: DataSource,
    @Inject(LOCK) private readonly lock: SqliteLock,
    private readonly unitOfWork: UnitOfWork,
    reader: DataSource,
  ) {
    unitOfWork.lendTo(reader);
  }

  static forRoot(entities: DatabaseSettings['entities']): DynamicModule {
    const settings = (config: Config): DatabaseSettings => ({
      file: config.DATABASE_URL.file,
      synchronous: config.SQLITE_SYNCHRONOUS,
      entities,
    });
    return {
      module: DatabaseModule,
      global: true,
      imports: [
        TypeOrmModule.forRootAsync({
          // The writer is injected only for the order: the tables must be there before anybody reads.
          inject: [Config, WRITER],
          useFactory: (config: Config) => readerOptions(settings(config)),
        }),
      ],
      providers: [
        {
          provide: LOCK,
          inject: [Config],
          useFactory: (config: Config) => SqliteLock.acquire(config.DATABASE_URL.file),
        },
        {
          provide: WRITER,
          inject: [Config, LOCK],
          useFactory: (config: Config, lock: SqliteLock) => openWriter(settings(config), lock),
        },
        UnitOfWork,
        HotQueries,
        Housekeeping,
        SecretCipher,
      ],
      exports: [WRITER, UnitOfWork, HotQueries, Housekeeping, SecretCipher],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.unitOfWork.idle();
    await this.writer.destroy();
    this.lock.release();
  }
}

/** Connects the writer and migrates. A migration that fails stops the start. */
async function openWriter(settings: DatabaseSettings, lock: SqliteLock): Promise<DataSource> {
  const writer = new DataSource(writerOptions(settings));
  try {
    await writer.initialize();
    await writer.runMigrations();
    return writer;
  } catch (error) {
    if (writer.isInitialized) await writer.destroy();
    lock.release();
    throw error;
  }
}
