import { Injectable, Logger } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { DataSource, In, LessThan, MoreThan, type Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import { topOf } from '../database/journal-top.js';
import { SecretCipher } from '../database/secret-cipher.service.js';
import { isPostgres } from '../database/sql.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { chainKeyFrom, verifyChain, type ChainReport } from './audit-chain.js';
import { createAct, type Act, type ActType } from './audited-acts.js';
import { EventRow } from './event.entity.js';
import { JournalWriter } from './journal-writer.service.js';

const VERIFICATION_PAGE = 200;

/** Which rows to list; undefined for any. */
export interface AuditQuery {
  actorId?: string | undefined;
  subject?: string | undefined;
  /** Exact types. */
  types?: readonly string[] | undefined;
  /** Inclusive, ISO 8601. */
  from?: string | undefined;
  /** Exclusive, ISO 8601. */
  to?: string | undefined;
  /** The id of the last row of the page before. */
  after?: string | undefined;
  limit: number;
}

/** The journal as a record of who did what: every event, and the acts that are no events. */
@Injectable()
export class AuditTrail {
  private readonly logger = new Logger(AuditTrail.name);
  private verifying: Promise<ChainReport> | undefined;

  constructor(
    @InjectRepository(EventRow) private readonly rows: Repository<EventRow>,
    private readonly journal: JournalWriter,
    private readonly unitOfWork: UnitOfWork,
    private readonly cipher: SecretCipher,
  ) {}

  /** Records an act with the current unit of work, or in one of its own outside of one, and logs it. */
  async record(type: ActType, act: Act): Promise<void> {
    await this.unitOfWork.run(async () => {
      const entry = createAct(type, act);
      await this.journal.append(entry);
      // Neither subject nor details: they can be an address that a stranger has typed.
      this.unitOfWork.afterCommit(() => this.logger.log({ msg: type, actId: entry.id, outcome: entry.outcome }));
    });
  }

  /** Returns one row, or undefined. */
  async find(id: string): Promise<EventRow | undefined> {
    return (await this.rows.findOneBy({ id })) ?? undefined;
  }

  /** Lists rows, the newest first. @throws AppError VALIDATION for a cursor that is no row's id. */
  async list({ actorId, subject, types, from, to, after, limit }: AuditQuery): Promise<EventRow[]> {
    const query = this.rows.createQueryBuilder('row').orderBy('row.seq', 'DESC').limit(limit);
    if (actorId !== undefined) query.andWhere({ actorId });
    if (subject !== undefined) query.andWhere({ subject });
    if (types) query.andWhere({ type: In([...types]) });
    if (from !== undefined) query.andWhere('row.timestamp >= :from', { from });
    if (to !== undefined) query.andWhere('row.timestamp < :to', { to });
    if (after !== undefined) query.andWhere({ seq: LessThan(await this.seqOf(after)) });
    return query.getMany();
  }

  /** Follows the chain from the oldest row that is kept to the newest; whoever asks meanwhile gets the same answer. */
  async verify(): Promise<ChainReport> {
    this.verifying ??= this.verifySnapshot().finally(() => (this.verifying = undefined));
    return this.verifying;
  }

  private async verifySnapshot(): Promise<ChainReport> {
    // A connection of its own: a snapshot lasts as long as its transaction.
    const { options } = this.rows.manager.connection;
    const source = await new DataSource({ ...options, entities: [EventRow] }).initialize();
    try {
      return await verifyTrail(source, chainKeyFrom(this.cipher));
    } finally {
      await source.destroy();
    }
  }

  private async seqOf(id: string): Promise<number> {
    const row = await this.rows.findOne({ select: { seq: true }, where: { id } });
    if (row) return row.seq;
    const message = `"${id.slice(0, 64)}" is the id of no row that is kept`;
    throw new AppError('VALIDATION', message, [{ field: 'after', code: 'CURSOR_UNKNOWN', message }]);
  }
}

/** Follows the chain in a database that nobody else reads through, as it stands in this moment. */
export async function verifyTrail(source: DataSource, key: Buffer): Promise<ChainReport> {
  const snapshot = source.createQueryRunner();
  try {
    await snapshot.query(isPostgres(source) ? 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY' : 'BEGIN');
    const rows = snapshot.manager.getRepository(EventRow);
    const [{ top }] = (await snapshot.query(`SELECT (${topOf(source)}) AS top`)) as [{ top: number | null }];
    const report = await verifyChain(key, top ?? 0, (afterSeq) =>
      rows.find({ where: { seq: MoreThan(afterSeq) }, order: { seq: 'ASC' }, take: VERIFICATION_PAGE }),
    );
    await snapshot.query('COMMIT');
    return report;
  } finally {
    await snapshot.release();
  }
}
