import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entities } from '../../src/app.entities.js';
import { readerOptions, writerOptions } from '../../src/database/data-source-options.js';
import { shipped } from '../../src/extensions/shipped.js';

describe('the migrations', () => {
  let folder: string;
  let source: DataSource;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'herald-schema-'));
    const extensions = await Promise.all([...shipped.values()].map(async (load) => (await load()).default));
    const settings = {
      database: { kind: 'sqlite' as const, file: join(folder, 'db.sqlite') },
      synchronous: 'FULL' as const,
      entities: [...entities, ...extensions.flatMap((one) => one.entities ?? [])],
      migrations: extensions.flatMap((one) => one.migrations ?? []),
    };
    source = await new DataSource(writerOptions(settings)).initialize();
    await source.runMigrations();
  });
  afterEach(async () => {
    await source.destroy();
    rmSync(folder, { recursive: true });
  });

  it('make exactly the tables of the entities, those of shipped extensions too', async () => {
    const { upQueries } = await source.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  it('are the only thing that makes tables', () => {
    expect(
      writerOptions({ database: { kind: 'sqlite', file: 'x' }, synchronous: 'FULL', entities }).synchronize,
    ).toBeUndefined();
    expect(
      readerOptions({ database: { kind: 'sqlite', file: 'x' }, synchronous: 'FULL', entities }).synchronize,
    ).toBeUndefined();
  });

  it('can be taken back, and run again', async () => {
    for (const _ of source.migrations) await source.undoLastMigration();
    const tables = await source.query<{ name: string }[]>(
      `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations'`,
    );
    expect(tables).toEqual([]);
    expect(await source.runMigrations()).toHaveLength(source.migrations.length);
  });
});
