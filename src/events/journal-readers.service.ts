import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventCursor } from './event-cursor.entity.js';
import { EventJournal } from './event-journal.service.js';
import { JournalReader, type JournalReaderOptions } from './journal-reader.js';

/** Makes the readers of the journal, and knows how far behind the slowest of them is. */
@Injectable()
export class JournalReaders {
  private readonly readers: JournalReader[] = [];

  constructor(
    private readonly journal: EventJournal,
    @InjectRepository(EventCursor) private readonly cursors: Repository<EventCursor>,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  create(options: JournalReaderOptions): JournalReader {
    const { name } = options;
    const cursor = {
      read: async () => (await this.cursors.findOneBy({ reader: name })) ?? undefined,
      begin: (seq: number) => this.unitOfWork.run((tx) => tx.insert(EventCursor, { reader: name, seq, since: seq })),
      writeSince: (since: number) => this.unitOfWork.run((tx) => tx.update(EventCursor, { reader: name }, { since })),
      write: (seq: number) => this.unitOfWork.run((tx) => tx.update(EventCursor, { reader: name }, { seq })),
    };
    const reader = new JournalReader(options, this.journal, cursor, this.unitOfWork);
    this.readers.push(reader);
    return reader;
  }

  /** Every reader there is. */
  get all(): readonly JournalReader[] {
    return this.readers;
  }

  /** The `seq` up to which every reader is done: what follows is still needed. */
  get slowestPosition(): number {
    return Math.min(...this.readers.map(({ position }) => position));
  }
}
