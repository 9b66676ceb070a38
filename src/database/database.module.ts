import { Inject, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { StartError } from '../common/start-error.js';
import { Config } from '../config/config.js';
import { readerOptions, writerOptions, type DatabaseSettings } from './data-source-options.js';
import { DatabaseFileError } from './database-file-error.js';
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

  static forRoot(tables: Pick<DatabaseSettings, 'entities' | 'migrations'>): DynamicModule {
    const settings = (config: Config): DatabaseSettings => ({
      file: config.DATABASE_URL.file,
      synchronous: config.SQLITE_SYNCHRONOUS,
      ...tables,
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

/** A migration did not work; the start stops, and nothing of it was kept. */
class MigrationError extends StartError {
  override readonly name = 'MigrationError';

  constructor(migration: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`The migration ${migration} failed, and nothing of it was kept: ${why}`, { cause });
  }
}

/** Runs what is pending, one after the other. @throws MigrationError */
async function migrate(writer: DataSource): Promise<void> {
  try {
    await writer.runMigrations();
  } catch (error) {
    const done = await writer.query<{ name: string }[]>('SELECT name FROM migrations');
    const failed = writer.migrations.find(({ name }) => !done.some((one) => one.name === name));
    throw new MigrationError(failed?.name ?? 'that comes next', error);
  }
}

/** Connects the writer and migrates. A migration that fails stops the start. */
async function openWriter(settings: DatabaseSettings, lock: SqliteLock): Promise<DataSource> {
  const writer = new DataSource(writerOptions(settings));
  try {
    await writer.initialize();
    await migrate(writer);
    return writer;
  } catch (error) {
    if (writer.isInitialized) await writer.destroy();
    lock.release();
    const isAboutFile = ['SQLITE_CANTOPEN', 'SQLITE_NOTADB', 'SQLITE_READONLY'].includes(codeOf(error));
    throw isAboutFile ? new DatabaseFileError(settings.file, error) : error;
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code);
}
