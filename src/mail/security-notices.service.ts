import { Injectable } from '@nestjs/common';
import { AccountLookup } from '../auth/account-lookup.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { DomainEvent } from '../events/domain-event.js';
import { DurableReader } from '../jobs/durable-reader.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import type { JobContext } from '../jobs/job-types.js';

/** The notice that each event is a reason for. */
const TEMPLATES = {
  'account.locked': 'account-locked',
  'password.changed': 'password-changed',
  'password.reset': 'password-reset',
} as const;

/** Tells the owner of an account by mail what somebody may have done to it. */
@Injectable()
export class SecurityNotices {
  constructor(
    private readonly accounts: AccountLookup,
    private readonly queue: JobQueue,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @DurableReader({ name: 'security-notices', events: ['account.locked', 'password.changed', 'password.reset'] })
  async notify(event: DomainEvent<keyof typeof TEMPLATES>, job: JobContext): Promise<void> {
    // A lock counts failures of any address, also of one that has no account: nobody is told of those.
    const to = await this.accounts.addressOf(event.payload);
    if (to === undefined) return;
    await this.unitOfWork.run(async () => {
      const data = { at: event.timestamp, ip: event.origin.ip };
      await this.queue.submit('mail.send', { to, template: TEMPLATES[event.type], data });
      await job.complete();
    });
  }
}
