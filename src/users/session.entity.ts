import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { bigint } from '../database/columns.js';
import { User } from './user.entity.js';

/** One login of an account on one device. A session that has ended is a row that is gone. */
@Entity('sessions')
export class Session {
  @PrimaryColumn({ type: 'text' })
  id: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'userId' })
  user: Relation<User>;

  @Index()
  @Column({ type: 'text' })
  userId: string;

  @Column({ type: 'text', nullable: true })
  ip: string | null;

  @Column({ type: 'text', nullable: true })
  userAgent: string | null;

  @Column(bigint)
  createdAt: number;

  @Column(bigint)
  lastUsedAt: number;

  /** When the session ends unless its refresh token is used before. */
  @Index()
  @Column(bigint)
  expiresAt: number;
}
