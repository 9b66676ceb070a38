import { randomInt } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { JobHandler } from '../jobs/job-handler.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import type { JobContext, JobTypes } from '../jobs/job-types.js';
import { UsersService } from '../users/users.service.js';
import { OneTimeTokens } from './one-time-tokens.service.js';

declare module '../jobs/job-types.js' {
  interface JobTypes {
    'auth.forgot-password': { email: string };
  }
}

const MAX_DELAY_MS = 500;

/** Lets whoever reads the mail of an account set a new password. */
@Injectable()
export class PasswordReset {
  constructor(
    private readonly users: UsersService,
    private readonly tokens: OneTimeTokens,
    private readonly queue: JobQueue,
    private readonly unitOfWork: UnitOfWork,
    private readonly trail: AuditTrail,
  ) {}

  /**
   * Asks for a token by mail.
   *
   * Whether the address has an account is looked at in a job, so that answer and time are the same for every address.
   * While one such job waits, asking again adds none. It waits for a random time, so that nobody who watches how busy
   * the service is can tell whether it found an account.
   */
  async request(email: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.queue.submit(
        'auth.forgot-password',
        { email },
        { uniqueKey: email, delayMs: randomInt(MAX_DELAY_MS) },
      );
      await this.trail.record('password.reset_requested', { subject: email });
    });
  }

  @JobHandler('auth.forgot-password')
  async send({ email }: JobTypes['auth.forgot-password'], job: JobContext): Promise<void> {
    const found = await this.users.find({ email });
    if (!found) return;
    await this.unitOfWork.run(async () => {
      await this.users.hold(found.id);
      // Asked again: the account may be gone by now, or have another address.
      const user = await this.users.find({ id: found.id, email });
      if (!user) return;
      const data = await this.tokens.issue('reset-password', { userId: user.id, email });
      await this.queue.submit('mail.send', { to: email, template: 'reset-password', data });
      await job.complete();
    });
  }

  /**
   * Sets a new password with a token, ends every session of the account and publishes `password.reset`.
   *
   * @throws AppError UNAUTHORIZED when the token is invalid, expired or used; BAD_REQUEST when the password breaks the
   * policy, which leaves the token as it was.
   */
  async reset(token: string, password: string): Promise<void> {
    const invalid = () => new AppError('UNAUTHORIZED', 'The token is not valid, has expired or was used');
    const holder = await this.tokens.peek('reset-password', token);
    if (!holder) throw invalid();
    const passwordHash = await this.users.hashNew(password, holder.email, holder.userId);
    await this.unitOfWork.run(async () => {
      // Only now is it used up: of two requests at once, one finds it gone.
      const found = await this.tokens.consume('reset-password', token);
      if (!found) throw invalid();
      await this.users.resetPassword(found.userId, passwordHash);
    });
  }
}
