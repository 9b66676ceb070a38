import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Role } from '../common/principal.js';
import { bigint } from '../database/columns.js';

/** An account. */
@Entity('users')
@Index(['createdAt', 'id'])
export class User {
  @PrimaryColumn({ type: 'text' })
  id: string;

  /** Lower case; the address is what people log in with. */
  @Column({ type: 'text', unique: true })
  email: string;

  /** argon2id, in the PHC string format, parameters included. Never selected unless asked for. */
  @Column({ type: 'text', select: false })
  passwordHash: string;

  @Column({ type: 'text' })
  role: Role;

  @Column({ type: 'boolean', default: false })
  emailVerified: boolean;

  @Column({ type: 'boolean', default: false })
  mfaEnabled: boolean;

  /** Since when the account is banned; null while it is not. */
  @Column({ ...bigint, nullable: true })
  bannedAt: number | null;

  /** What the admin gave as the reason. */
  @Column({ type: 'text', nullable: true })
  banReason: string | null;

  @Column(bigint)
  createdAt: number;

  @Column(bigint)
  updatedAt: number;
}

/** The name under which a unit of work locks an account: see UsersService.hold. */
export function accountLock(id: string): string {
  return `account ${id}`;
}
