import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/columns.js';

/** Failures in a row: logins of an email address, whether or not an account has it, or proofs inside an account's sessions. */
@Entity('lockouts')
@Index('lockouts_by_end', ['lockedUntil'], { where: '"lockedUntil" IS NOT NULL' })
export class Lockout {
  /** The email address, or the id of the account. */
  @PrimaryColumn({ type: 'text' })
  subject: string;

  /** Failures in a row since the last success or the last lock. */
  @Column({ type: 'integer' })
  failures: number;

  /** When the last lock ends or ended; null if there was none since the last success. */
  @Column({ ...bigint, nullable: true })
  lockedUntil: number | null;

  @Column(bigint)
  lastFailureAt: number;
}
