import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { LessThan, LessThanOrEqual, MoreThan, In, type EntityManager, type Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import { currentRequestContext } from '../common/request-context.js';
import { HotQueries, type HotQuery } from '../database/hot-queries.service.js';
import { Instances } from '../database/instances.js';
import { topOf } from '../database/journal-top.js';
import { SecretCipher } from '../database/secret-cipher.service.js';
import { isPostgres } from '../database/sql.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { chainHash, chainKeyFrom, GENESIS } from './audit-chain.js';
import { createAct } from './audited-acts.js';
import type { DomainEvent, EventOrigin, JournalEntry } from './domain-event.js';
import { EventRow } from './event.entity.js';
import { parseEventId } from './event-id.js';
import { RecentEvents } from './recent-events.js';

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

/** What the newest events in memory may weigh. */
const RECENT_BYTES = 16 * 1024 * 1024;
/** How many of them are there from the start: after a deployment every client comes back at once. */
const RECENT_AT_START = 5000;

/** How many rows are read at a time that other instances may have written. */
const PAGE = 500;
const COLUMNS = [
  ...(['seq', 'id', 'type', 'subject', 'timestamp', 'payload', 'published', 'outcome', 'details'] as const),
  ...(['requestId', 'actorId', 'sessionId', 'ip', 'userAgent', 'previousHash', 'hash'] as const),
] as const;
/** The end of the table: the newest row, and the highest `seq` there ever was, also if its row is gone. */
const endOf = (top: string) => `SELECT (${top}) AS top, last.seq, last.hash FROM (SELECT 1) AS one
  LEFT JOIN (SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1) AS last ON true`;
const NAMES = COLUMNS.map((name) => `"${name}"`).join();
/** What has come to the end of the table: asked with every flush of commits, by every instance. */
const FOLLOWING = `SELECT ${NAMES} FROM events WHERE published AND seq > ? ORDER BY seq LIMIT ${PAGE}`;
/** Written with every event: building the same statement anew would cost ten times what running it does. */
const INSERT = `INSERT INTO events (${NAMES}) VALUES (${COLUMNS.map(() => '?').join()})`;

const NO_ORIGIN: EventOrigin = { requestId: null, actorId: null, sessionId: null, ip: null, userAgent: null };

/** A row as the driver returns it. */
type StoredEvent = Omit<EventRow, 'payload'> & { payload: string };

interface End {
  seq: number;
  hash: string | null;
}

/**
 * The table of all events, in the order of their commits.
 *
 * On PostgreSQL, where units of many instances commit side by side, the last thing that a unit does is to take one lock and
 * write its events: whoever has it next sees them, so that the order of `seq` is the order of the commits and no reader that
 * goes by `seq` can pass over an event that is still to come. What others have written is read from the table, in that order.
 */
@Injectable()
export class EventJournal implements OnModuleInit {
  private readonly logger = new Logger(EventJournal.name);
  private readonly listeners = new Set<() => void>();
  private readonly recent = new RecentEvents(RECENT_BYTES);
  /** Reads of the database that are under way, by what they ask for. */
  private readonly reading = new Map<string, Promise<DomainEvent[]>>();
  private readonly chainKey: Buffer;
  /** When this process committed what is in memory. */
  private readonly committed = new WeakMap<DomainEvent, number>();
  /** The same of what is committed and not in memory yet, by id. */
  private readonly committing = new Map<string, number>();
  /** The newest row that this process has committed. */
  private written: EventRow | undefined;
  /** What units of work are about to write. */
  private readonly waiting = new WeakMap<EntityManager, JournalEntry[]>();
  /** Whether others write into the table too. */
  private readonly isShared: boolean;
  private readonly endQuery: string;
  private readonly findFollowing: HotQuery<StoredEvent>;
  /** What is read of the end of the table, now and next. */
  private following: Promise<void> | undefined;
  private followingNext: Promise<void> | undefined;
  /** Whether the last read of it failed. */
  private isCutOff = false;

  constructor(
    @InjectRepository(EventRow) private readonly rows: Repository<EventRow>,
    private readonly unitOfWork: UnitOfWork,
    private readonly instances: Instances,
    hot: HotQueries,
    cipher: SecretCipher,
  ) {
    this.chainKey = chainKeyFrom(cipher);
    const { connection } = rows.manager;
    this.isShared = isPostgres(connection);
    this.endQuery = endOf(topOf(connection));
    this.findFollowing = hot.prepare(FOLLOWING);
  }

  /** Takes the newest events into memory, and begins the chain behind the rows of a database that is older than it. */
  async onModuleInit(): Promise<void> {
    this.instances.onSignal('events', () => this.follow());
    const newest = await this.rows.find({ where: { published: true }, order: { seq: 'DESC' }, take: RECENT_AT_START });
    for (const row of newest.toReversed()) this.recent.push(toEvent(row));
    const [last] = await this.rows.find({ select: { seq: true, hash: true }, order: { seq: 'DESC' }, take: 1 });
    if (!last || last.hash !== null) return;
    await this.append(createAct('journal.chained', { subject: 'journal', details: { after: last.seq } }));
  }

  /**
   * Writes an entry as the last thing of the current unit of work, or in one of its own: it is there if, and only if, the
   * unit commits.
   */
  async append(entry: JournalEntry): Promise<void> {
    await this.unitOfWork.run((tx) => {
      const waiting = this.waiting.get(tx);
      if (waiting) waiting.push(entry);
      else {
        const entries = [entry];
        this.waiting.set(tx, entries);
        this.unitOfWork.beforeCommit(() => this.write(entries));
      }
      return Promise.resolve();
    });
  }

  private onCommitted(row: EventRow): void {
    if (this.isShared) {
      // Others may have committed before it: all of them are read in their order. It may have been read already.
      if (row.seq > (this.recent.newest?.seq ?? 0)) this.committing.set(row.id, performance.now());
      this.follow();
      return this.instances.signal('events');
    }
    const event = toEvent(row);
    this.committed.set(event, performance.now());
    this.recent.push(event);
    this.listeners.forEach((listener) => listener());
  }

  private follow(): void {
    this.catchUp().then(
      () => (this.isCutOff = false),
      (error: unknown) => {
        // Once, and not with every look while the database is away.
        this.logger[this.isCutOff ? 'debug' : 'error']({ msg: 'new events could not be read', err: error });
        this.isCutOff = true;
      },
    );
  }

  /** Resolves once every event committed before the call, by whichever instance, is known here. */
  catchUp(): Promise<void> {
    if (!this.isShared) return Promise.resolve();
    // What is being read may have been asked for too early; of many callers meanwhile, one more read serves all.
    this.followingNext ??= (this.following ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        this.followingNext = undefined;
        this.following = this.readEnd();
        return this.following;
      });
    return this.followingNext;
  }

  /** Reads what has come to the end of the table since it was read last. */
  private async readEnd(): Promise<void> {
    for (let full = true; full;) {
      const afterSeq = this.recent.newest?.seq ?? 0;
      // Of nobody's unit: what is not committed is not to be seen here.
      const rows = await this.unitOfWork.detached(() => this.findFollowing(afterSeq));
      for (const row of rows) {
        const event = toEvent({ ...row, payload: JSON.parse(row.payload) as EventRow['payload'] });
        const at = this.committing.get(event.id);
        if (at !== undefined) this.committed.set(event, at);
        this.committing.delete(event.id);
        this.recent.push(event);
      }
      if (rows.length > 0) this.listeners.forEach((listener) => listener());
      full = rows.length === PAGE;
    }
  }

  /** When this process committed an event, by `performance.now()`; undefined for one that came from elsewhere. */
  committedAt(event: DomainEvent): number | undefined {
    return this.committed.get(event);
  }

  /** Calls `listener` after every commit that holds an event. */
  onAppended(listener: () => void): void {
    this.listeners.add(listener);
  }

  /** Adds rows to the end of the chain. */
  private async write(entries: readonly JournalEntry[]): Promise<void> {
    // Asked at the end of the unit: a login or a registration knows its session only then.
    const { requestId, actorId, sessionId, ip, userAgent } = { ...NO_ORIGIN, ...currentRequestContext() };
    let end = await this.findEnd();
    const rows = entries.map((entry): EventRow => {
      const row = { ...entry, seq: end.seq + 1, requestId, actorId, sessionId, ip, userAgent };
      const previousHash = end.hash ?? GENESIS;
      const complete = { ...row, previousHash, hash: chainHash(this.chainKey, previousHash, row) };
      end = complete;
      return complete;
    });
    for (const row of rows) {
      // With the commit: nobody else can append before that, in any instance.
      await this.unitOfWork.endWith({ sql: INSERT, parameters: COLUMNS.map((name) => toColumn(row[name])) });
    }
    this.unitOfWork.afterCommit(() => {
      const last = rows.at(-1);
      // Two that committed one after the other may be told in any order.
      if (last && last.seq > (this.written?.seq ?? 0)) this.written = last;
      for (const row of rows) if (row.published) this.onCommitted(row);
    });
  }

  /** Returns the row that the next one is chained to. Until the unit has ended nobody else adds any. */
  private async findEnd(): Promise<End> {
    type Found = { top: number | null; seq: number | null; hash: string | null };
    const [found] = await this.unitOfWork.lockAndAsk<Found>('journal', this.endQuery);
    const { top = null, seq = null, hash = null } = found ?? {};
    const { written } = this;
    // What this process has committed must still be there; past it come the rows of this transaction, and of others.
    const isTouched = written && (seq ?? 0) <= written.seq && hash !== written.hash;
    if (!isTouched) return { seq: top ?? 0, hash };
    this.logger.error({ msg: 'the newest rows of the audit trail were changed by another hand', eventId: written.id });
    // Chained to what was there, so that the verification finds the place.
    return { seq: Math.max(top ?? 0, written.seq), hash: written.hash };
  }

  /** Reads events in `seq` order, or the newest first: from memory, or from the database once for all who ask for the same at a time. */
  async read(wanted: JournalQuery): Promise<DomainEvent[]> {
    const recent = wanted.order === 'desc' ? undefined : this.recent.read(wanted);
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

  /** Returns the `seq` of the newest committed event, 0 for a journal without one. */
  async head(): Promise<number> {
    if (this.recent.newest) return this.recent.newest.seq;
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
      this.unitOfWork.afterCommit(() => this.recent.removeThrough(bound - 1));
      // Anchors the chain at the first row kept.
      const details = { removed: affected, lastId: last.id, lastHash: last.hash };
      await this.append(createAct('journal.trimmed', { subject: 'journal', details }));
      return affected ?? 0;
    });
  }
}

/** What the table holds of a value: JSON of an object, everything else as it is. */
function toColumn(value: EventRow[keyof EventRow]): string | number | boolean | null {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}

function toEvent(row: EventRow): DomainEvent {
  const { seq, id, type, subject, timestamp, payload, requestId, actorId, sessionId, ip, userAgent } = row;
  const origin = { requestId, actorId, sessionId, ip, userAgent };
  // Written through createEvent, so type and payload are the catalogue's.
  return { seq, id, type, subject, timestamp, payload, origin } as unknown as DomainEvent;
}
