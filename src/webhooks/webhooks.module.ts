import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import ipaddr from 'ipaddr.js';
import { Config } from '../config/config.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { AttemptCounts } from './attempt-counts.service.js';
import { DeliveryReconciliation } from './delivery-reconciliation.service.js';
import { WebhookAttempts } from './webhook-attempts.service.js';
import { WebhookClient } from './webhook-client.js';
import { WebhookDeliveries } from './webhook-deliveries.service.js';
import { WebhookAttempt, WebhookDelivery } from './webhook-delivery.entity.js';
import { WebhookEndpoint } from './webhook-endpoint.entity.js';
import { WebhookEndpoints } from './webhook-endpoints.service.js';
import { WebhooksController } from './webhooks.controller.js';

/** Time for what an attempt does beside the request: reading the delivery, writing its outcome. */
const WRITING_MS = 15_000;

/** A durable reader of the journal: sends events, signed, to the endpoints that want them. */
@Module({
  imports: [
    TypeOrmModule.forFeature([WebhookEndpoint, WebhookDelivery, WebhookAttempt]),
    JobsModule.forFeature({
      'webhook.attempt': ({ WEBHOOK_TIMEOUT_MS }) => ({
        timeoutMs: WEBHOOK_TIMEOUT_MS + WRITING_MS,
        // Requests wait for others more than they work: many may, few of them for the same receiver.
        concurrency: 1000,
        groupConcurrency: 20,
      }),
      'webhook.replay': { concurrency: 1 },
    }),
  ],
  controllers: [WebhooksController],
  providers: [
    {
      provide: WebhookClient,
      inject: [Config],
      useFactory: ({ WEBHOOK_TIMEOUT_MS, WEBHOOK_ALLOW_CIDRS }: Config) =>
        new WebhookClient({
          timeoutMs: WEBHOOK_TIMEOUT_MS,
          allowed: WEBHOOK_ALLOW_CIDRS.map((range) => ipaddr.parseCIDR(range)),
        }),
    },
    WebhookEndpoints,
    WebhookAttempts,
    WebhookDeliveries,
    DeliveryReconciliation,
    AttemptCounts,
  ],
  exports: [AttemptCounts, WebhookClient, WebhookEndpoints],
})
export class WebhooksModule {}
