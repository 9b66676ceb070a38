import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { currentRequestContext } from '../common/request-context.js';
import { topOf } from '../database/journal-top.js';
import { SecretCipher } from '../database/secret-cipher.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { chainHash, chainKeyFrom, GENESIS } from './audit-chain.js';
import { createAct } from './audited-acts.js';
import type { EventOrigin, JournalEntry } from './domain-event.js';
import { COLUMNS, COLUMN_LIST, EventRow } from './event.entity.js';

/** The end of the table: the newest row, and the highest `seq` there ever was, also if its row is gone. */
const endOf = (top: string) => `SELECT (${top}) AS top, last.seq, last.hash FROM (SELECT 1) AS one
  LEFT JOIN (SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1) AS last ON true`;
/** Written with every event: building the same statement anew would cost ten times what running it does. */
const INSERT = `INSERT INTO events (${COLUMN_LIST}) VALUES (${COLUMNS.map(() => '?').join()})`;

const NO_ORIGIN: EventOrigin = { requestId: null, actorId: null, sessionId: null, ip: null, userAgent: null };

interface End {
  seq: number;
  hash: string | null;
}

/**
 * Adds to the journal, in the order of the commits, and chains each row to the one before.
 *
 * On PostgreSQL, where units of many instances commit side by side, the last thing that a unit does is to take one lock and
 * write its events: whoever has it next sees them, so that the order of `seq` is the order of the commits and no reader that
 * goes by `seq` can pass over an event that is still to come.
 */
@Injectable()
export class JournalWriter implements OnModuleInit {
  private readonly logger = new Logger(JournalWriter.name);
  private readonly listeners = new Set<(row: EventRow) => void>();
  private readonly chainKey: Buffer;
  private readonly endQuery: string;
  /** The newest row that this process has committed. */
  private written: EventRow | undefined;
  /** What units of work are about to write. */
  private readonly waiting = new WeakMap<EntityManager, JournalEntry[]>();

  constructor(
    @InjectRepository(EventRow) private readonly rows: Repository<EventRow>,
    private readonly unitOfWork: UnitOfWork,
    cipher: SecretCipher,
  ) {
    this.chainKey = chainKeyFrom(cipher);
    this.endQuery = endOf(topOf(rows.manager.connection));
  }

  /** Begins the chain behind the rows of a database that is older than it. */
  async onModuleInit(): Promise<void> {
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

  /** Calls `listener` with each row that this process has committed. */
  onCommitted(listener: (row: EventRow) => void): void {
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
      for (const row of rows) this.listeners.forEach((listener) => listener(row));
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
}

/** What the table holds of a value: JSON of an object, everything else as it is. */
function toColumn(value: EventRow[keyof EventRow]): string | number | boolean | null {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}
