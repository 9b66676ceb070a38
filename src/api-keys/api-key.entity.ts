import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import type { Scope } from '../common/principal.js';
import { bigint } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** A key that acts as its owner, cut down to its scopes. A key that is revoked is a row that is gone. */
@Entity('api_keys')
export class ApiKey {
  @PrimaryColumn({ type: 'text' })
  id: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'userId' })
  user: Relation<User>;

  @Index()
  @Column({ type: 'text' })
  userId: string;

  @Column({ type: 'text' })
  name: string;

  /** SHA-256 of the key, hex. The key itself is nowhere. */
  @Column({ type: 'text', unique: true })
  hash: string;

  /** The first characters of the key, for its owner to tell it by. */
  @Column({ type: 'text' })
  prefix: string;

  @Column({ type: 'simple-json' })
  scopes: Scope[];

  /** Null for a key that does not expire. */
  @Column({ ...bigint, nullable: true })
  expiresAt: number | null;

  /** To the minute. */
  @Column({ ...bigint, nullable: true })
  lastUsedAt: number | null;

  @Column(bigint)
  createdAt: number;
}
