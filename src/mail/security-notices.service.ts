import { Injectable } from '@nestjs/common';
import { AccountLookup } from '../auth/account-lookup.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { DomainEvent } from '../events/domain-event.js';
import { DurableReader } from '../jobs/durable-reader.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import type { JobContext } from '../jobs/job-types.js';

/** Tells the owner of an account by mail what somebody may have done to it. */
@Injectable()
export class SecurityNotices {
  constructor(
    private readonly accounts: AccountLookup,
    private readonly queue: JobQueue,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @DurableReader({ name: 'security-notices', events: ['account.locked', 'password.changed'] })
  async notify(event: DomainEvent<'account.locked' | 'password.changed'>, job: JobContext): Promise<void> {
    // A lock counts failures of any address, also of one that has no account: nobody is told of those.
    const to = await this.accounts.addressOf(event.payload);
    if (to === undefined) return;
    const template = event.type === 'account.locked' ? 'account-locked' : 'password-changed';
    await this.unitOfWork.run(async () => {
      const data = { at: event.timestamp, ip: event.origin.ip };
      await this.queue.submit('mail.send', { to, template, data });
      await job.complete();
    });
  }
}
