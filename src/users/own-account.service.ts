import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AppError } from '../common/app-error.js';
import { currentRequestContext } from '../common/request-context.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from '../events/event-bus.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import { NewPasswords } from './new-passwords.service.js';
import { Session } from './session.entity.js';
import { SessionsService } from './sessions.service.js';
import { User } from './user.entity.js';
import { refuseTaken, UsersService } from './users.service.js';

/** What an owner may change of an account. */
export interface ProfileChanges {
  email?: string | undefined;
  password?: string | undefined;
  currentPassword?: string | undefined;
}

/** What people do to their own accounts, each from a session that has to be there until the end. */
@Injectable()
export class OwnAccount {
  constructor(
    private readonly accounts: UsersService,
    private readonly newPasswords: NewPasswords,
    private readonly sessions: SessionsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly queue: JobQueue,
  ) {}

  /**
   * Changes address or password of an account.
   *
   * A new password publishes `password.changed` and ends every other session; a new address publishes `user.updated`.
   *
   * @throws AppError VALIDATION without `currentPassword`, UNAUTHORIZED for a wrong one, BAD_REQUEST when the new
   * password breaks the policy, CONFLICT when the address is taken.
   */
  async change(id: string, sessionId: string, { email, password, currentPassword }: ProfileChanges): Promise<void> {
    const hashes =
      password === undefined ? undefined : await this.hashReplacement(id, password, email, currentPassword);
    await this.unitOfWork.run(async (tx) => {
      const user = await this.take(tx, id, sessionId);
      const updatedAt = Date.now();
      if (hashes) {
        // Only while the password that was verified is still the account's: of several changes at once, one wins.
        const changed = await tx.update(
          User,
          { id, passwordHash: hashes.old },
          { passwordHash: hashes.new, updatedAt },
        );
        if (!changed.affected) throw new AppError('UNAUTHORIZED', 'The current password is wrong');
        await this.newPasswords.remember(tx, id, hashes.old);
        await this.sessions.endAll(id, sessionId);
        await this.events.publish('password.changed', { userId: id });
      }
      if (email !== undefined && email !== user.email) {
        await tx.update(User, { id }, { email, emailVerified: false, updatedAt }).catch(refuseTaken);
        const { id: eventId } = await this.events.publish('user.updated', { userId: id, fields: ['email'] });
        // The new address gets its verification; the old one is told, in case this was somebody else.
        const data = { at: new Date(updatedAt).toISOString(), ip: currentRequestContext()?.ip ?? null };
        await this.queue.submit('mail.send', { to: user.email, template: 'email-changed', data }, { eventId });
      }
    });
  }

  /** Deletes an account, as {@link UsersService.delete}. @throws AppError UNAUTHORIZED; CONFLICT for the last admin. */
  async delete(id: string, sessionId: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await this.take(tx, id, sessionId);
      await this.accounts.delete(id);
    });
  }

  /** Asked inside the unit: another request may have ended the session since this one was let in. */
  private async take(tx: EntityManager, id: string, sessionId: string): Promise<User> {
    await this.accounts.hold(id);
    const session = await tx.findOne(Session, { where: { id: sessionId, userId: id }, relations: { user: true } });
    if (!session) throw new AppError('UNAUTHORIZED', 'Authentication required');
    return session.user;
  }

  private async hashReplacement(
    id: string,
    password: string,
    newEmail: string | undefined,
    currentPassword: string | undefined,
  ): Promise<{ old: string; new: string }> {
    if (currentPassword === undefined) {
      const message = 'A new password needs the current one';
      throw new AppError('VALIDATION', message, [{ field: 'currentPassword', message }]);
    }
    const user = await this.accounts.findByIdWithPassword(id);
    if (!user) throw new AppError('UNAUTHORIZED', 'Authentication required');
    await this.accounts.confirmPassword(user, currentPassword);
    return { old: user.passwordHash, new: await this.newPasswords.hash(password, newEmail ?? user.email, user) };
  }
}
