import { Column, Entity, Index, JoinColumn, ManyToOne, OneToOne, PrimaryColumn, type Relation } from 'typeorm';
import { bigint } from '../database/columns.js';
import { User } from '../users/user.entity.js';

/** The authenticator app of an account (TOTP, RFC 6238). */
@Entity('totp_factors')
export class TotpFactor {
  @PrimaryColumn({ type: 'text' })
  userId: string;

  @OneToOne(() => User, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'userId' })
  user: Relation<User>;

  /** Encrypted. */
  @Column({ type: 'text' })
  secret: string;

  /** Null while it is set up and not confirmed: it counts for nothing then. */
  @Column({ ...bigint, nullable: true })
  confirmedAt: number | null;

  /** The time step of the last code that was accepted: neither that one nor an earlier one is accepted again. */
  @Column({ ...bigint, nullable: true })
  lastStep: number | null;
}

/** One of the codes that stand in for a lost authenticator app; it works once. */
@Entity('recovery_codes')
export class RecoveryCode {
  /** SHA-256 of the account's id and the code, hex. */
  @PrimaryColumn({ type: 'text' })
  hash: string;

  @ManyToOne(() => User, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'userId' })
  user: Relation<User>;

  @Index()
  @Column({ type: 'text' })
  userId: string;
}
