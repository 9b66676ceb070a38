import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { LessThan, LessThanOrEqual, MoreThan, In, type Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { createAct } from './audited-acts.js';
import type { DomainEvent } from './domain-event.js';
import { EventRow, toEvent } from './event.entity.js';
import { parseEventId } from './event-id.js';
import { JournalEnd } from './journal-end.service.js';
import { JournalWriter } from './journal-writer.service.js';

/** What to read from the journal. */
export interface JournalQuery {
  /** Exclusive lower bound. */
  afterSeq: number;
  /** Inclusive upper bound. */
  throughSeq?: number | undefined;
  /** Exact types; undefined for all. */
  types?: readonly string[] | undefined;
  /** Subjects; undefined for all. */
  subjects?: readonly string[] | undefined;
  /** @default 'asc' */
  order?: 'asc' | 'desc';
  limit: number;
}

/** Where a client's cursor stands in the journal. */
export interface CursorPosition {
  afterSeq: number;
  /** False when events after the cursor are gone, because retention has removed them. */
  complete: boolean;
}

/**
 * The table of all events, in the order of their commits: written by {@link JournalWriter}, its newest end in memory with
 * {@link JournalEnd}.
 */
@Injectable()
export class EventJournal {
  /** Reads of the database that are under way, by what they ask for. */
  private readonly reading = new Map<string, Promise<DomainEvent[]>>();

  constructor(
    @InjectRepository(EventRow) private readonly rows: Repository<EventRow>,
    private readonly unitOfWork: UnitOfWork,
    private readonly writer: JournalWriter,
    private readonly end: JournalEnd,
  ) {}

  /** As {@link JournalEnd.onAppended}. */
  onAppended(listener: () => void): void {
    this.end.onAppended(listener);
  }

  /** As {@link JournalEnd.committedAt}. */
  committedAt(event: DomainEvent): number | undefined {
    return this.end.committedAt(event);
  }

  /** As {@link JournalEnd.catchUp}. */
  catchUp(): Promise<void> {
    return this.end.catchUp();
  }

  /** Reads events in `seq` order, or the newest first: from memory, or from the database once for all who ask for the same at a time. */
  async read(wanted: JournalQuery): Promise<DomainEvent[]> {
    const recent = wanted.order === 'desc' ? undefined : this.end.recent.read(wanted);
    if (recent) return recent;
    // Inside a unit of work it sees what nobody else may see yet.
    if (this.unitOfWork.isInside) return this.select(wanted);
    const key = JSON.stringify(wanted);
    const running = this.reading.get(key);
    if (running) return running;
    const reading = this.select(wanted).finally(() => this.reading.delete(key));
    this.reading.set(key, reading);
    return reading;
  }

  private async select({ afterSeq, throughSeq, types, subjects, order, limit }: JournalQuery): Promise<DomainEvent[]> {
    const query = this.rows.createQueryBuilder('event').where({ published: true, seq: MoreThan(afterSeq) });
    if (throughSeq !== undefined) query.andWhere({ seq: LessThanOrEqual(throughSeq) });
    if (types) query.andWhere({ type: In([...types]) });
    if (subjects) query.andWhere({ subject: In([...subjects]) });
    const rows = await query
      .orderBy('event.seq', order === 'desc' ? 'DESC' : 'ASC')
      .limit(limit)
      .getMany();
    return rows.map(toEvent);
  }

  /** Returns one event, or undefined. */
  async find(id: string): Promise<DomainEvent | undefined> {
    const row = await this.rows.findOneBy({ id, published: true });
    return row ? toEvent(row) : undefined;
  }

  /** Returns the `seq` of the newest event that is known here, 0 for a journal without one. */
  async head(): Promise<number> {
    return this.end.recent.newest?.seq ?? this.top();
  }

  /** Asks the table for the `seq` of its newest event: that of {@link head}, or more where it cannot be followed. */
  async top(): Promise<number> {
    const [row] = await this.rows.find({
      select: { seq: true },
      where: { published: true },
      order: { seq: 'DESC' },
      take: 1,
    });
    return row?.seq ?? 0;
  }

  /** Returns how many of some ids are events in the journal. */
  async countOf(ids: readonly string[]): Promise<number> {
    return this.rows.countBy({ id: In([...ids]), published: true });
  }

  /** Returns when the oldest row that is kept was written, in ISO 8601; undefined for an empty journal. */
  async oldestTimestamp(): Promise<string | undefined> {
    return (await this.first())?.timestamp;
  }

  /** Returns the `seq` after which everything since a time (ISO 8601) comes. */
  async seqBefore(timestamp: string): Promise<number> {
    const row = await this.rows
      .createQueryBuilder('event')
      .select('MIN(event.seq)', 'seq')
      .where('event.timestamp >= :timestamp', { timestamp })
      .getRawOne<{ seq: number | null }>();
    return row?.seq ? row.seq - 1 : this.head();
  }

  private async first(): Promise<EventRow | undefined> {
    const [row] = await this.rows.find({ order: { seq: 'ASC' }, take: 1 });
    return row;
  }

  /**
   * Finds where a client's cursor stands.
   *
   * An id that is not in the journal is told apart by the time inside it: older than the oldest event kept means that
   * retention has removed it (what is left follows, with the gap told); anything else never was an event.
   *
   * @throws AppError VALIDATION for an id that never was an event's.
   */
  async locate(id: string, field: string): Promise<CursorPosition> {
    const row = await this.rows.findOne({ select: { seq: true }, where: { id, published: true } });
    if (row) return { afterSeq: row.seq, complete: true };
    const time = parseEventId(id);
    const oldest = await this.first();
    if (time !== undefined && oldest && oldest.seq > 1 && time < Date.parse(oldest.timestamp)) {
      return { afterSeq: oldest.seq - 1, complete: false };
    }
    const message = `"${id.slice(0, 64)}" was never an event's id`;
    throw new AppError('VALIDATION', message, [{ field, code: 'CURSOR_UNKNOWN', message }]);
  }

  /**
   * Removes events older than `timestamp`, none past `throughSeq`, from the old end; the newest event always stays, as
   * the end of the log.
   */
  async removeBefore(timestamp: string, throughSeq: number): Promise<number> {
    return this.unitOfWork.run(async (tx) => {
      await this.unitOfWork.lock('journal retention');
      const [firstKept] = await tx
        .createQueryBuilder(EventRow, 'event')
        .select('MIN(event.seq)', 'seq')
        .where('event.timestamp >= :timestamp', { timestamp })
        .getRawMany<{ seq: number | null }>();
      const newest = (await tx.maximum(EventRow, 'seq', { published: true })) ?? 0;
      const bound = Math.min(firstKept?.seq ?? newest, newest, throughSeq + 1);
      const last = await tx.findOne(EventRow, { where: { seq: LessThan(bound) }, order: { seq: 'DESC' } });
      if (!last) return 0;
      const { affected } = await tx.delete(EventRow, { seq: LessThan(bound) });
      await this.end.forgetThrough(bound - 1);
      // Anchors the chain at the first row kept.
      const details = { removed: affected, lastId: last.id, lastHash: last.hash };
      await this.writer.append(createAct('journal.trimmed', { subject: 'journal', details }));
      return affected ?? 0;
    });
  }
}
