import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/** One row of the journal. Rows are only ever added, and removed from the old end by retention. */
@Entity('events')
@Index(['subject', 'seq'])
@Index(['type', 'seq'])
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
}
