import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/columns.js';

/** Failed logins of an email address since its last success, whether or not an account has it. */
@Entity('lockouts')
export class Lockout {
  @PrimaryColumn({ type: 'text' })
  email: string;

  /** Failures in a row since the last success or the last lock. */
  @Column({ type: 'integer' })
  failures: number;

  /** When the last lock ends or ended; null if there was none since the last success. */
  @Column({ ...bigint, nullable: true })
  lockedUntil: number | null;

  @Column(bigint)
  lastFailureAt: number;
}
