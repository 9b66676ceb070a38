import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EVENT_TYPES } from '../../src/events/catalogue.js';
import { EventRow } from '../../src/events/event.entity.js';
import type { Account, CrowdMember } from './crowd.js';
import type { TestServer } from './server.js';

type Row = Pick<EventRow, 'seq' | 'id' | 'type' | 'subject'>;

/** The journal as it stands in the table, and what of it each client of a crowd must have received. */
export class CrowdJournal {
  private readonly seqs: ReadonlyMap<string, number>;
  private readonly visible = new Map<Account, Row[]>();

  private constructor(readonly rows: readonly Row[]) {
    this.seqs = new Map(rows.map(({ id, seq }) => [id, seq]));
  }

  static async read({ app }: TestServer): Promise<CrowdJournal> {
    const select = { seq: true, id: true, type: true, subject: true };
    const wanted = { select, where: { published: true }, order: { seq: 'ASC' } } as const;
    return new CrowdJournal(await app.get(UnitOfWork).run((tx) => tx.find(EventRow, wanted)));
  }

  /** Returns what a client must have received: of each wish what follows its cursor, up to the cursor of the next. */
  dueTo({ account, wishes, received, isGone }: CrowdMember): string[] {
    const cursors = wishes.map(({ after }) => this.seqOf(after));
    // Whoever has left for good has what came before it left.
    cursors.push(isGone ? this.seqOf(received.at(-1) ?? wishes.at(-1)?.after) : Number.POSITIVE_INFINITY);
    return wishes.flatMap(({ filters }, at) => {
      const [from, through] = [cursors[at] ?? Number.NaN, cursors[at + 1] ?? Number.NaN];
      const types = new Set<string>(EVENT_TYPES.filter((type) => filters.some((filter) => letsThrough(filter, type))));
      return this.visibleTo(account).flatMap(({ seq, type, id }) =>
        seq > from && seq <= through && types.has(type) ? id : [],
      );
    });
  }

  /** Says where what a client received first differs from what was due to it; undefined where nothing does. */
  difference(member: CrowdMember): string | undefined {
    const { received, wishes } = member;
    const due = this.dueTo(member);
    let at = 0;
    while (at < due.length && due[at] === received[at]) at += 1;
    if (at === due.length && at === received.length) return undefined;
    const [from, asked] = [
      Math.max(at - 2, 0),
      wishes.map(({ after, filters }) => `${filters.join()} after ${this.seqOf(after)}`),
    ];
    const seqs = (ids: readonly string[]) =>
      ids
        .slice(from, at + 3)
        .map((id) => this.seqOf(id))
        .join() || 'nothing';
    return [
      `${String(member)} asked for ${asked.join(', then ')}`,
      `its events from number ${from} on have the seqs ${seqs(received)} of ${received.length}`,
      `due were ${seqs(due)} of ${due.length}`,
    ].join('; ');
  }

  /** An admin sees everything, anybody else what is about its id or its address. */
  private visibleTo(account: Account): Row[] {
    const { role, id, email } = account;
    let rows = this.visible.get(account);
    rows ??= this.rows.filter(({ subject }) => role === 'admin' || subject === id || subject === email);
    this.visible.set(account, rows);
    return rows;
  }

  private seqOf(id = ''): number {
    return this.seqs.get(id) ?? Number.NaN;
  }
}

function letsThrough(filter: string, type: string): boolean {
  return filter === '*' || filter === type || (filter.endsWith('.*') && type.startsWith(filter.slice(0, -1)));
}
