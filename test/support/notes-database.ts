import { DataSource, EntitySchema } from 'typeorm';
import type { DatabaseUrl } from '../../src/config/env.schema.js';
import { readerOptions, writerOptions, type DatabaseSettings } from '../../src/database/data-source-options.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { TestDatabase } from './database.js';

export interface Note {
  id: number;
  text: string;
}
export const Note = new EntitySchema<Note>({
  name: 'note',
  columns: { id: { type: 'integer', primary: true, generated: true }, text: { type: 'text' } },
});

/** A database with one table, what reads it and what writes it, as an application has them. */
export class NotesDatabase {
  private constructor(
    private readonly database: TestDatabase,
    private readonly settings: DatabaseSettings,
    readonly writer: DataSource,
    readonly reader: DataSource,
    readonly unitOfWork: UnitOfWork,
  ) {}

  static async create(): Promise<NotesDatabase> {
    const database = await TestDatabase.create();
    const url = database.environment['DATABASE_URL'] ?? '';
    const at: DatabaseUrl = url.startsWith('sqlite:')
      ? { kind: 'sqlite', file: url.slice('sqlite:'.length) }
      : { kind: 'postgres', url };
    const id = at.kind === 'sqlite' ? 'integer PRIMARY KEY AUTOINCREMENT' : 'serial PRIMARY KEY';
    const settings = { database: at, synchronous: 'FULL' as const, entities: [Note] };
    const notes = await NotesDatabase.open(database, settings);
    await notes.writer.query(`CREATE TABLE note (id ${id}, text text NOT NULL)`);
    return notes;
  }

  private static async open(database: TestDatabase, settings: DatabaseSettings): Promise<NotesDatabase> {
    const writer = await new DataSource({ ...writerOptions(settings), migrations: [] }).initialize();
    const reader = await new DataSource(readerOptions(settings)).initialize();
    const unitOfWork = new UnitOfWork(writer);
    unitOfWork.lendTo(reader);
    return new NotesDatabase(database, settings, writer, reader, unitOfWork);
  }

  /** The same database as another process has it, to be closed before this one. */
  async openAnother(): Promise<NotesDatabase> {
    return NotesDatabase.open(this.database.lent(), this.settings);
  }

  /** What can be read, in the order of the ids. */
  texts = async (): Promise<string[]> => {
    return (await this.reader.getRepository(Note).find({ order: { id: 'ASC' } })).map(({ text }) => text);
  };

  add = (text: string): Promise<unknown> => this.unitOfWork.run((tx) => tx.insert(Note, { text }));

  async close(): Promise<void> {
    await this.reader.destroy();
    await this.writer.destroy();
    await this.database.remove();
  }
}

/** A promise and the function that settles it: what a test holds a unit open with. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
