import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';
import type { DomainEvent, Outcome } from './domain-event.js';

/**
 * One row of the journal: an event, or an act that the audit trail alone keeps. Rows are only ever added, and removed
 * from the old end by retention.
 */
@Entity('events')
@Index(['subject', 'seq'])
@Index(['type', 'seq'])
@Index(['actorId', 'seq'], { where: '"actorId" IS NOT NULL' })
export class EventRow {
  @PrimaryGeneratedColumn({ type: 'integer' })
  seq: number;

  @Column({ type: 'text', unique: true })
  id: string;

  @Column({ type: 'text' })
  type: string;

  @Column({ type: 'text' })
  subject: string;

  /** ISO 8601 in UTC with milliseconds, so that text order is time order. */
  @Column({ type: 'text' })
  timestamp: string;

  @Column({ type: 'simple-json' })
  payload: Record<string, unknown>;

  @Column({ type: 'text', nullable: true })
  requestId: string | null;

  @Column({ type: 'text', nullable: true })
  actorId: string | null;

  @Column({ type: 'text', nullable: true })
  sessionId: string | null;

  @Column({ type: 'text', nullable: true })
  ip: string | null;

  @Column({ type: 'text', nullable: true })
  userAgent: string | null;

  /** False for an act, which no reader of events is told of. */
  @Column({ type: 'boolean' })
  published: boolean;

  @Column({ type: 'text' })
  outcome: Outcome;

  /** What only the audit trail says. */
  @Column({ type: 'simple-json', nullable: true })
  details: Record<string, unknown> | null;

  /** The hash of the row before; null for rows older than the chain. */
  @Column({ type: 'text', nullable: true })
  previousHash: string | null;

  /** What {@link chainHash} makes of this row and the one before; null for rows older than the chain. */
  @Column({ type: 'text', nullable: true })
  hash: string | null;
}

/** The columns, for statements that are too hot for a query builder. */
export const COLUMNS = [
  ...(['seq', 'id', 'type', 'subject', 'timestamp', 'payload', 'published', 'outcome', 'details'] as const),
  ...(['requestId', 'actorId', 'sessionId', 'ip', 'userAgent', 'previousHash', 'hash'] as const),
] as const;

/** The same in SQL. */
export const COLUMN_LIST = COLUMNS.map((name) => `"${name}"`).join();

/** Returns the event that a row holds. */
export function toEvent(row: EventRow): DomainEvent {
  const { seq, id, type, subject, timestamp, payload, requestId, actorId, sessionId, ip, userAgent } = row;
  const origin = { requestId, actorId, sessionId, ip, userAgent };
  // Written through createEvent, so type and payload are the catalogue's.
  return { seq, id, type, subject, timestamp, payload, origin } as unknown as DomainEvent;
}
