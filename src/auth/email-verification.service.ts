import { Injectable } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import type { DomainEvent } from '../events/domain-event.js';
import { DurableReader } from '../jobs/durable-reader.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import type { JobContext } from '../jobs/job-types.js';
import { UsersService } from '../users/users.service.js';
import { OneTimeTokens } from './one-time-tokens.service.js';

/** Proves that the owner of an account reads the mail of its address. */
@Injectable()
export class EmailVerification {
  constructor(
    private readonly users: UsersService,
    private readonly tokens: OneTimeTokens,
    private readonly queue: JobQueue,
    private readonly unitOfWork: UnitOfWork,
    private readonly trail: AuditTrail,
  ) {}

  /** Sends a token to every address that is new: of a new account, or of an account that changed it. */
  @DurableReader({ name: 'email-verification', events: ['user.registered', 'user.updated'] })
  async onNewAddress(event: DomainEvent<'user.registered' | 'user.updated'>, job: JobContext): Promise<void> {
    if (event.type === 'user.updated' && !event.payload.fields.includes('email')) return;
    await this.unitOfWork.run(async () => {
      await this.send(event.payload.userId);
      await job.complete();
    });
  }

  /** Sends a new token at the owner's request. */
  async resend(userId: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.trail.record('email.verification_requested', { subject: userId });
      await this.send(userId);
    });
  }

  /** Sends a new token; the earlier one stops working. An address that is verified already gets none. */
  private async send(userId: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.users.hold(userId);
      const user = await this.users.find({ id: userId });
      if (!user || user.emailVerified) return;
      const data = await this.tokens.issue('verify-email', { userId, email: user.email });
      await this.queue.submit('mail.send', { to: user.email, template: 'verify-email', data });
    });
  }

  /** Uses a token; publishes `email.verified`. @throws AppError UNAUTHORIZED when it is invalid, expired or used. */
  async verify(token: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      const holder = await this.tokens.consume('verify-email', token);
      if (!holder || !(await this.users.markVerified(holder.userId, holder.email))) {
        throw new AppError('UNAUTHORIZED', 'The token is not valid, has expired or was used');
      }
    });
  }
}
