import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { bigint } from '../database/columns.js';
import { Session } from '../users/session.entity.js';

/** One refresh token of a session. All tokens of a session are one family: each was made from its parent. */
@Entity('refresh_tokens')
export class RefreshToken {
  /** SHA-256 of the token, hex. The token itself is nowhere. */
  @PrimaryColumn({ type: 'text' })
  hash: string;

  @ManyToOne(() => Session, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'sessionId' })
  session: Relation<Session>;

  @Index()
  @Column({ type: 'text' })
  sessionId: string;

  /** Hash of the token this one was made from; null for the first of its family. */
  @Index()
  @Column({ type: 'text', nullable: true })
  parentHash: string | null;

  /** When the token was first used; null while it is unused. */
  @Column({ ...bigint, nullable: true })
  usedAt: number | null;

  @Index()
  @Column(bigint)
  expiresAt: number;
}
