import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { bigint } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** What a one-time token is good for, and nothing else. */
export type TokenPurpose = 'verify-email' | 'reset-password';

/** A token that travels by mail and works once. An account has one of each purpose: the newest. */
@Entity('one_time_tokens')
@Index(['userId', 'purpose'], { unique: true })
export class OneTimeToken {
  /** SHA-256 of the token, hex. The token itself is nowhere but in the mail. */
  @PrimaryColumn({ type: 'text' })
  hash: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'userId' })
  user: Relation<User>;

  @Column({ type: 'text' })
  userId: string;

  @Column({ type: 'text' })
  purpose: TokenPurpose;

  /** The address it was sent to. */
  @Column({ type: 'text' })
  email: string;

  @Index()
  @Column(bigint)
  expiresAt: number;
}
