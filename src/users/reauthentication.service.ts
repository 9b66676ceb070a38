import { Injectable } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { lockedError, LockoutService } from './lockout.service.js';
import { accountLock } from './user.entity.js';

/**
 * Asks a logged-in caller for a secret again, before what a stolen session must not do.
 *
 * Wrong answers lock as failed logins do, because a session is no licence to guess the password of its account. They are
 * counted by account and apart from logins: another address does not begin a new count, and strangers who fail to log in
 * do not keep an owner who is in from changing the password.
 */
@Injectable()
export class Reauthentication {
  constructor(
    private readonly lockouts: LockoutService,
    private readonly trail: AuditTrail,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  /**
   * @param check - says whether what the caller gave is right; runs in the unit of work that counts it when it is not.
   * @throws AppError UNAUTHORIZED with `message` when it is not; FORBIDDEN after too many wrong answers.
   */
  async confirm({ id }: { id: string }, check: () => Promise<boolean>, message: string): Promise<void> {
    const refusal = await this.unitOfWork.run(async (): Promise<AppError | undefined> => {
      await this.unitOfWork.lock(accountLock(id));
      const now = Date.now();
      const lockedUntil = await this.lockouts.lockedUntil(id, now);
      if (lockedUntil !== undefined) return lockedError(lockedUntil, now);
      if (await check()) {
        await this.lockouts.forget(id);
        return undefined;
      }
      await this.trail.record('reauthentication.failed', { subject: id, outcome: 'failure' });
      const locksUntil = await this.lockouts.count(id, now);
      return locksUntil === undefined ? new AppError('UNAUTHORIZED', message) : lockedError(locksUntil, now);
    });
    // A refusal is an outcome to commit; thrown inside, it would roll its counter back.
    if (refusal) throw refusal;
  }
}
