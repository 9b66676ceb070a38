import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { SpanKind } from '@opentelemetry/api';
import { Config } from '../config/config.js';
import { SecretCipher } from '../database/secret-cipher.service.js';
import { EventTraces } from '../events/event-traces.service.js';
import { JobHandler } from '../jobs/job-handler.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import type { JobContext, JobTypes } from '../jobs/job-types.js';
import { JobWorker } from '../jobs/job-worker.service.js';
import { inSpan } from '../telemetry/spans.js';
import { render } from './mail-templates.js';
import { MailTransport } from './mail-transport.js';
import { PublicUrl } from './public-url.service.js';

/** Sends mails: submit a `mail.send` job with the change that is its reason. */
@Injectable()
export class Mailer implements OnModuleInit, OnApplicationShutdown {
  private readonly domain: string;

  constructor(
    private readonly config: Config,
    private readonly transport: MailTransport,
    private readonly publicUrl: PublicUrl,
    private readonly cipher: SecretCipher,
    private readonly worker: JobWorker,
    private readonly queue: JobQueue,
    private readonly traces: EventTraces,
  ) {
    this.domain = /@([^\s>]+)/.exec(config.MAIL_FROM)?.[1] ?? 'localhost';
  }

  onModuleInit(): void {
    this.traces.add('mails', (eventId) => this.traceOf(eventId));
  }

  @JobHandler('mail.send')
  async send({ to, ...use }: JobTypes['mail.send'], job: JobContext): Promise<void> {
    const mail = {
      // The job's: a mail that is sent again, because nobody knows whether it arrived, can be told for what it is.
      messageId: `<${job.id}@${this.domain}>`,
      from: this.config.MAIL_FROM,
      to,
      ...render(use, {
        publicUrl: this.publicUrl.get(),
        open: ({ sealedToken, owner }) => this.cipher.decrypt(sealedToken, owner),
      }),
      headers: { 'Auto-Submitted': 'auto-generated' },
    };
    const attributes = { 'herald.mail.template': use.template };
    await inSpan('send mail', { kind: SpanKind.CLIENT, attributes }, () => this.transport.send(mail));
  }

  private async traceOf(eventId: string): Promise<Record<string, unknown>[]> {
    const jobs = await this.queue.ofEvent(eventId);
    return jobs
      .filter(({ type }) => type === 'mail.send')
      .map(({ id, payload, state, attempts, finishedAt }) => {
        const { to, template } = payload as JobTypes['mail.send'];
        return { jobId: id, to, template, status: state, attempts, finishedAt };
      });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.worker.drain();
    this.transport.close();
  }
}
