import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsNull, type EntityManager, type Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import type { Role } from '../common/principal.js';
import { HotQueries, type HotQuery } from '../database/hot-queries.service.js';
import { isUniqueViolation } from '../database/sql.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from '../events/event-bus.js';
import { PasswordHasher } from './password-hasher.js';
import { NewPasswords } from './new-passwords.service.js';
import type { Profile } from './profile.schema.js';
import { Reauthentication } from './reauthentication.service.js';
import { SessionsService } from './sessions.service.js';
import { accountLock, User } from './user.entity.js';

/** As the database has it: SQLite knows no booleans. */
type StoredProfile = Omit<Profile, 'emailVerified' | 'mfaEnabled'> &
  Record<'emailVerified' | 'mfaEnabled', number | boolean>;

const PROFILE = `
  SELECT id, email, role, "emailVerified", "mfaEnabled", "createdAt", "updatedAt" FROM users WHERE id = ?`;

/** Owns the accounts and publishes what happens to them. */
@Injectable()
export class UsersService {
  private readonly findProfile: HotQuery<StoredProfile>;

  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly passwords: PasswordHasher,
    private readonly newPasswords: NewPasswords,
    private readonly sessions: SessionsService,
    private readonly reauthentication: Reauthentication,
    hot: HotQueries,
  ) {
    this.findProfile = hot.prepare(PROFILE);
  }

  /**
   * Creates an account and publishes `user.registered`.
   *
   * @param email - lower case.
   * @throws AppError BAD_REQUEST when the password breaks the policy, CONFLICT when the address is taken.
   */
  async create(email: string, password: string, role: Role = 'user'): Promise<User> {
    const passwordHash = await this.hashNew(password, email);
    return this.insert(email, passwordHash, role);
  }

  /**
   * Checks a new password against the policy and hashes it; slow on purpose, so never inside a unit of work.
   *
   * @param ownerId - the account it is for, where there is one already.
   * @throws AppError BAD_REQUEST
   */
  async hashNew(password: string, email: string, ownerId?: string): Promise<string> {
    const owner = ownerId === undefined ? undefined : await this.findByIdWithPassword(ownerId);
    return this.newPasswords.hash(password, email, owner);
  }

  /** Inserts an account whose password is hashed already, and publishes `user.registered`. @throws AppError CONFLICT */
  async insert(email: string, passwordHash: string, role: Role = 'user'): Promise<User> {
    return this.unitOfWork.run(async (tx) => {
      const now = Date.now();
      const user = tx.create(User, { id: randomUUID(), email, passwordHash, role, createdAt: now, updatedAt: now });
      await tx.insert(User, user).catch(refuseTaken);
      await this.events.publish('user.registered', { userId: user.id }, { role });
      return user;
    });
  }

  /**
   * Lets nobody else change or delete an account, or log in to it, before the current unit of work has ended: what is read
   * of it from here on holds until then.
   */
  async hold(id: string): Promise<void> {
    await this.unitOfWork.lock(accountLock(id));
  }

  /** Returns an account. @throws AppError NOT_FOUND */
  async get(id: string): Promise<User> {
    const user = await this.find({ id });
    if (!user) throw noSuchAccount();
    return user;
  }

  /** Returns what an account's owner sees of it. @throws AppError NOT_FOUND */
  async profile(id: string): Promise<Profile> {
    const [row] = await this.findProfile(id);
    if (!row) throw noSuchAccount();
    return { ...row, emailVerified: Boolean(row.emailVerified), mfaEnabled: Boolean(row.mfaEnabled) };
  }

  /** Returns the account of an id, an address or both, or undefined. */
  async find(who: { id: string } | { email: string }): Promise<User | undefined> {
    return (await this.users.findOneBy(who)) ?? undefined;
  }

  /** Returns the account of an address with its password hash, or undefined. */
  async findWithPassword(email: string): Promise<User | undefined> {
    return (await this.withPassword().where({ email }).getOne()) ?? undefined;
  }

  /** Says whether any account has a role. */
  async hasRole(role: Role): Promise<boolean> {
    return this.users.existsBy({ role });
  }

  /** Returns the admins who can do something: those who are not banned. */
  async admins(): Promise<User[]> {
    return this.users.findBy({ role: 'admin', bannedAt: IsNull() });
  }

  /** Marks an address as verified and publishes `email.verified`. Returns false when it is not the account's any more. */
  async markVerified(id: string, email: string): Promise<boolean> {
    return this.unitOfWork.run(async (tx) => {
      const { affected } = await tx.update(User, { id, email }, { emailVerified: true, updatedAt: Date.now() });
      if (affected) await this.events.publish('email.verified', { userId: id });
      return affected === 1;
    });
  }

  /** Says that an account's second factor is on or off, and publishes it. */
  async setMfa(id: string, enabled: boolean): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await tx.update(User, { id }, { mfaEnabled: enabled, updatedAt: Date.now() });
      await this.events.publish(enabled ? 'mfa.enabled' : 'mfa.disabled', { userId: id });
    });
  }

  /**
   * Asks a logged-in caller for the password again; slow on purpose, so never inside a unit of work.
   *
   * @throws AppError as {@link Reauthentication.confirm}
   */
  async confirmPassword(user: User, password: string): Promise<void> {
    const matches = await this.passwords.verify(user.passwordHash, password);
    await this.reauthentication.confirm(user, () => Promise.resolve(matches), 'The current password is wrong');
  }

  /** Returns an account with its password hash, or undefined. */
  async findByIdWithPassword(id: string): Promise<User | undefined> {
    return (await this.withPassword().where({ id }).getOne()) ?? undefined;
  }

  /** Replaces a hash by a newer one of the same password. */
  async replaceHash(id: string, outdated: string, fresh: string): Promise<void> {
    await this.unitOfWork.run((tx) => tx.update(User, { id, passwordHash: outdated }, { passwordHash: fresh }));
  }

  /** Sets a password without asking for the old one, ends every session and publishes `password.reset`. */
  async resetPassword(id: string, passwordHash: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await this.hold(id);
      const before = await tx.findOneOrFail(User, { where: { id }, select: { id: true, passwordHash: true } });
      await this.newPasswords.remember(tx, id, before.passwordHash);
      await tx.update(User, { id }, { passwordHash, updatedAt: Date.now() });
      await this.sessions.endAll(id);
      await this.events.publish('password.reset', { userId: id });
    });
  }

  /**
   * Deletes an account with everything that hangs on it, and publishes `user.deleted`.
   *
   * @throws AppError NOT_FOUND; CONFLICT for the last admin.
   */
  async delete(id: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await this.hold(id);
      await this.refuseLastAdmin(tx, await this.get(id));
      await this.sessions.endAll(id);
      await tx.delete(User, { id });
      await this.events.publish('user.deleted', { userId: id });
    });
  }

  /**
   * With the caller's unit of work, in which the account is held.
   *
   * @throws AppError CONFLICT when it is the last admin who can do anything.
   */
  async refuseLastAdmin(tx: EntityManager, { role, bannedAt }: User): Promise<void> {
    if (role !== 'admin' || bannedAt !== null) return;
    // Of two admins who go at once, each would see the other stay.
    await this.unitOfWork.lock('admins');
    if ((await tx.countBy(User, { role: 'admin', bannedAt: IsNull() })) > 1) return;
    const message = 'This is the last admin: make another one first';
    throw new AppError('CONFLICT', message, [{ code: 'ADMIN_LAST', message }]);
  }

  private withPassword() {
    return this.users.createQueryBuilder('user').addSelect('user.passwordHash');
  }
}

/** Of several that ask for an address at once, the database lets one have it. @throws AppError CONFLICT */
export function refuseTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  const message = 'The email address is taken';
  throw new AppError('CONFLICT', message, [{ field: 'email', code: 'EMAIL_TAKEN', message }]);
}

function noSuchAccount(): AppError {
  return new AppError('NOT_FOUND', 'There is no such account');
}
