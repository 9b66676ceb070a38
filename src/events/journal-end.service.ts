import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { HotQueries, type HotQuery } from '../database/hot-queries.service.js';
import { Instances } from '../database/instances.js';
import { isPostgres } from '../database/sql.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { DomainEvent } from './domain-event.js';
import { COLUMN_LIST, EventRow, toEvent } from './event.entity.js';
import { JournalWriter } from './journal-writer.service.js';
import { RecentEvents } from './recent-events.js';

/** What the newest events in memory may weigh. */
const RECENT_BYTES = 16 * 1024 * 1024;
/** How many of them are there from the start: after a deployment every client comes back at once. */
const RECENT_AT_START = 5000;
/** How many rows are read at a time that other instances may have written. */
const PAGE = 500;
/** What has come to the end of the table: asked with every flush of commits, by every instance. */
const FOLLOWING = `SELECT ${COLUMN_LIST} FROM events WHERE published AND seq > ? ORDER BY seq LIMIT ${PAGE}`;

/** A row as the driver returns it. */
type StoredEvent = Omit<EventRow, 'payload'> & { payload: string };

/**
 * Follows the end of the journal and keeps the newest events in memory.
 *
 * On SQLite it is told of every commit. On PostgreSQL, where others write too, it reads the table from where it stands, in
 * the order of `seq`: woken by its own commits, by those of other instances, and once a second.
 */
@Injectable()
export class JournalEnd implements OnModuleInit {
  /** The events themselves. */
  readonly recent = new RecentEvents(RECENT_BYTES);
  private readonly logger = new Logger(JournalEnd.name);
  private readonly listeners = new Set<() => void>();
  /** When this process committed what is in memory. */
  private readonly committed = new WeakMap<DomainEvent, number>();
  /** The same of what is committed and not in memory yet, by id. */
  private readonly committing = new Map<string, number>();
  /** Whether others write into the table too. */
  private readonly isShared: boolean;
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
    writer: JournalWriter,
    hot: HotQueries,
  ) {
    this.isShared = isPostgres(rows.manager.connection);
    this.findFollowing = hot.prepare(FOLLOWING);
    writer.onCommitted((row) => this.onCommitted(row));
  }

  /** Forgets, with the commit of the current unit of work and in every instance, events that it has removed. */
  async forgetThrough(seq: number): Promise<void> {
    this.unitOfWork.afterCommit(() => this.recent.removeThrough(seq));
    await this.instances.announce('retention', seq);
  }

  /** Takes the newest events into memory. */
  async onModuleInit(): Promise<void> {
    const newest = await this.rows.find({ where: { published: true }, order: { seq: 'DESC' }, take: RECENT_AT_START });
    for (const row of newest.toReversed()) this.recent.push(toEvent(row));
    this.instances.onAnnounced('retention', (seq) => this.recent.removeThrough(Number(seq)));
    // Only now: a read that began before would begin at the first event of all, and the order here would be lost.
    this.instances.onSignal('events', () => this.follow());
  }

  /** Calls `listener` whenever events have come to the end. */
  onAppended(listener: () => void): void {
    this.listeners.add(listener);
  }

  /** When this process committed an event, by `performance.now()`; undefined for one that came from elsewhere. */
  committedAt(event: DomainEvent): number | undefined {
    return this.committed.get(event);
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

  private onCommitted(row: EventRow): void {
    if (!row.published) return;
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
}
