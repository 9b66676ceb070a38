import { Logger, Module, type DynamicModule } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { Config } from '../config/config.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { LocalMailbox } from './local-mailbox.service.js';
import { MailTransport, SmtpTransport } from './mail-transport.js';
import { MailboxController } from './mailbox.controller.js';
import { Mailer } from './mailer.service.js';
import { PublicUrl } from './public-url.service.js';
import { SecurityNotices } from './security-notices.service.js';

/** How long a mail server may be silent. */
const SOCKET_TIMEOUT_MS = 30_000;

/** Mail: templates, the jobs that send them, and the notices that events are a reason for. */
@Module({})
export class MailModule {
  static forRoot(config: Config): DynamicModule {
    const { MAIL_URL } = config;
    if (MAIL_URL === undefined && config.isProduction) {
      new Logger(MailModule.name).warn('MAIL_URL is not set: mails are kept as files and reach nobody');
    }
    return {
      module: MailModule,
      imports: [
        AuthModule,
        // Greylisting and a server that is down for a night: twenty attempts take about half a day.
        JobsModule.forFeature({ 'mail.send': { maxAttempts: 20, timeoutMs: 120_000, concurrency: 5 } }),
      ],
      controllers: MAIL_URL === undefined && !config.isProduction ? [MailboxController] : [],
      providers: [
        PublicUrl,
        LocalMailbox,
        MAIL_URL === undefined
          ? { provide: MailTransport, useExisting: LocalMailbox }
          : { provide: MailTransport, useFactory: () => new SmtpTransport(MAIL_URL, SOCKET_TIMEOUT_MS) },
        Mailer,
        SecurityNotices,
      ],
    };
  }
}
