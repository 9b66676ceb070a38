import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { LessThan, type Repository } from 'typeorm';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventCursor } from './event-cursor.entity.js';
import { EventJournal } from './event-journal.service.js';
import { JournalReader, ReaderMovedError, type JournalReaderOptions } from './journal-reader.js';

/** Makes the readers of the journal, and knows how far behind the slowest of them is. */
@Injectable()
export class JournalReaders {
  private readonly readers: JournalReader[] = [];

  constructor(
    private readonly journal: EventJournal,
    @InjectRepository(EventCursor) private readonly cursors: Repository<EventCursor>,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @param options.isOfAll - every instance reads for itself, and the furthest of them says where a new one begins. */
  create(options: JournalReaderOptions & { isOfAll?: boolean }): JournalReader {
    const { name, isOfAll = false } = options;
    const cursor = {
      read: async () => (await this.cursors.findOneBy({ reader: name })) ?? undefined,
      begin: (seq: number) =>
        this.unitOfWork.run(async (tx) => {
          await this.unitOfWork.lock(`reader ${name}`);
          if (await tx.existsBy(EventCursor, { reader: name })) return;
          await tx.insert(EventCursor, { reader: name, seq, since: seq });
        }),
      writeSince: (since: number) => this.unitOfWork.run((tx) => tx.update(EventCursor, { reader: name }, { since })),
      write: (seq: number, from: number) =>
        this.unitOfWork.run(async (tx) => {
          const before = isOfAll ? LessThan(seq) : from;
          const { affected } = await tx.update(EventCursor, { reader: name, seq: before }, { seq });
          if (!affected && !isOfAll) throw new ReaderMovedError(`Another instance has moved the reader "${name}"`);
        }),
    };
    const reader = new JournalReader(options, this.journal, cursor, this.unitOfWork);
    this.readers.push(reader);
    return reader;
  }

  /** Looks how far the readers have come that other instances run. */
  async refresh(): Promise<void> {
    await Promise.all(this.readers.filter(({ isRunning }) => !isRunning).map((reader) => reader.look()));
  }

  /** Every reader there is; where they are is known after {@link refresh}. */
  get all(): readonly JournalReader[] {
    return this.readers;
  }

  /** Counts, by their names, the events that the readers are not done with, in whichever instance they run. */
  async lags(): Promise<Record<string, number>> {
    await this.refresh();
    const top = await this.journal.top();
    return Object.fromEntries(this.readers.map(({ name, position }) => [name, Math.max(0, top - position)]));
  }

  /** The `seq` up to which every reader is done: what follows is still needed. */
  get slowestPosition(): number {
    return Math.min(...this.readers.map(({ position }) => position));
  }
}
