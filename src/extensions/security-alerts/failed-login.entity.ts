import { bigint, Column, Entity, Index, PrimaryColumn } from '../../extension-api.js';

/** A failed login that still counts; removed once the window is past it. */
@Entity('security_failed_logins')
@Index('IDX_security_failed_logins_email', ['email', 'at'])
@Index('IDX_security_failed_logins_ip', ['ip', 'at'])
@Index('IDX_security_failed_logins_at', ['at'])
export class FailedLogin {
  @PrimaryColumn({ type: 'text' })
  eventId: string;

  @Column({ type: 'text' })
  email: string;

  /** Null where nobody knows it. */
  @Column({ type: 'text', nullable: true })
  ip: string | null;

  @Column(bigint)
  at: number;
}
