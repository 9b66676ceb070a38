import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { Documented } from '../common/documented.js';
import { uuid } from '../common/fields.js';
import { toPage } from '../common/pagination.js';
import { AllowScope, Roles } from '../common/principal.js';
import { WebhookDeliveries } from './webhook-deliveries.service.js';
import type { WebhookAttempt, WebhookDelivery } from './webhook-delivery.entity.js';
import type { WebhookEndpoint } from './webhook-endpoint.entity.js';
import { WebhookEndpoints } from './webhook-endpoints.service.js';
import {
  changeBody,
  createBody,
  deliveriesQuery,
  deliveryPage,
  deliveryView,
  deliveryWithBody,
  endpointPage,
  endpointView,
  listQuery,
  newEndpointView,
  replayAnswer,
  replayBody,
  rotateBody,
  rotation,
  type attemptView,
} from './webhook.schemas.js';

type EndpointView = z.infer<typeof endpointView>;
type DeliveryView = z.infer<typeof deliveryView>;

/** Webhook endpoints and what was sent to them, for admins. */
@Roles('admin')
@AllowScope('webhooks:manage')
@Controller('webhooks')
export class WebhooksController {
  constructor(
    private readonly endpoints: WebhookEndpoints,
    private readonly deliveries: WebhookDeliveries,
  ) {}

  /** The only answer that holds the secret, beside that of its rotation. */
  @Post()
  @Documented({ summary: 'Add a webhook endpoint', answer: newEndpointView })
  async create(
    @Body({ schema: createBody }) body: z.infer<typeof createBody>,
  ): Promise<z.infer<typeof newEndpointView>> {
    const { endpoint, secret } = await this.endpoints.create(body);
    return { ...toEndpointView(endpoint), secret };
  }

  @Get()
  @Documented({ summary: 'List the webhook endpoints', answer: endpointPage })
  async list(
    @Query({ schema: listQuery }) { after, limit }: z.infer<typeof listQuery>,
  ): Promise<z.infer<typeof endpointPage>> {
    const endpoints = await this.endpoints.list(after, limit + 1);
    return toPage(endpoints.map(toEndpointView), limit, ({ id }) => id);
  }

  @Get(':id')
  @Documented({ summary: 'Read a webhook endpoint', params: { id: uuid }, answer: endpointView })
  async one(@Param('id') id: string): Promise<EndpointView> {
    return toEndpointView(await this.endpoints.get(id));
  }

  @Patch(':id')
  @Documented({ summary: 'Change, disable or enable a webhook endpoint', params: { id: uuid }, answer: endpointView })
  async change(
    @Param('id') id: string,
    @Body({ schema: changeBody }) changes: z.infer<typeof changeBody>,
  ): Promise<EndpointView> {
    return toEndpointView(await this.endpoints.change(id, changes));
  }

  @Delete(':id')
  @HttpCode(204)
  @Documented({ summary: 'Remove a webhook endpoint with its deliveries', params: { id: uuid } })
  async delete(@Param('id') id: string): Promise<void> {
    await this.endpoints.delete(id);
  }

  @Post(':id/test')
  @HttpCode(202)
  @Documented({ summary: 'Send a test, once', params: { id: uuid }, answer: deliveryView })
  async test(@Param('id') id: string): Promise<DeliveryView> {
    return toDeliveryView(await this.deliveries.test(id));
  }

  @Post(':id/rotate-secret')
  @HttpCode(200)
  @Documented({
    summary: 'Give an endpoint a new secret',
    description: 'Until the overlap ends, both secrets sign.',
    params: { id: uuid },
    answer: rotation,
    errors: { CONFLICT: 'The overlap of an earlier rotation has not ended.' },
  })
  async rotateSecret(
    @Param('id') id: string,
    @Body({ schema: rotateBody }) options: z.infer<typeof rotateBody>,
  ): Promise<z.infer<typeof rotation>> {
    return this.endpoints.rotateSecret(id, options);
  }

  @Get(':id/deliveries')
  @Documented({
    summary: 'List what was sent to an endpoint, the newest first',
    params: { id: uuid },
    answer: deliveryPage,
  })
  async listDeliveries(
    @Param('id') id: string,
    @Query({ schema: deliveriesQuery }) { status, after, limit }: z.infer<typeof deliveriesQuery>,
  ): Promise<z.infer<typeof deliveryPage>> {
    const deliveries = await this.deliveries.list(id, { status, beforeId: after, limit: limit + 1 });
    const views = deliveries.map(({ delivery, attempts }) => ({
      ...toDeliveryView(delivery),
      attempts: attempts.map(toAttemptView),
    }));
    return toPage(views, limit, (view) => view.id);
  }

  /** Answers with what is sent, too. */
  @Get('deliveries/:id/details')
  @Documented({ summary: 'Read a delivery with what is sent', params: { id: uuid }, answer: deliveryWithBody })
  async oneDelivery(@Param('id') id: string): Promise<z.infer<typeof deliveryWithBody>> {
    const { delivery, attempts } = await this.deliveries.get(id);
    return { ...toDeliveryView(delivery), attempts: attempts.map(toAttemptView), body: delivery.body };
  }

  @Post('deliveries/:id/redeliver')
  @HttpCode(202)
  @Documented({
    summary: 'Send a delivery again',
    params: { id: uuid },
    answer: deliveryView,
    errors: { CONFLICT: 'It is still under way, or its endpoint is disabled.' },
  })
  async redeliver(@Param('id') id: string): Promise<DeliveryView> {
    return toDeliveryView(await this.deliveries.redeliver(id));
  }

  @Post(':id/replay')
  @HttpCode(202)
  @Documented({
    summary: 'Send an endpoint what it missed',
    params: { id: uuid },
    answer: replayAnswer,
    errors: { CONFLICT: 'The endpoint is disabled.' },
  })
  async replay(
    @Param('id') id: string,
    @Body({ schema: replayBody }) { after }: z.infer<typeof replayBody>,
  ): Promise<z.infer<typeof replayAnswer>> {
    return this.deliveries.replay(id, after);
  }
}

function toEndpointView(endpoint: WebhookEndpoint): EndpointView {
  const { id, url, events, description, createdAt, updatedAt } = endpoint;
  const { disabledAt, disabledReason, failingSince, previousSecretUntil } = endpoint;
  const status = disabledAt === null ? 'enabled' : 'disabled';
  const about = { id, url, events, description, status, disabledAt, disabledReason, failingSince } as const;
  return { ...about, previousSecretUntil, createdAt, updatedAt };
}

function toDeliveryView(delivery: WebhookDelivery): DeliveryView {
  const { id, endpointId, eventId, eventType, status, nextAttemptAt, createdAt, finishedAt } = delivery;
  return { id, endpointId, eventId, eventType, status, nextAttemptAt, createdAt, finishedAt };
}

function toAttemptView({
  number,
  at,
  durationMs,
  status,
  response,
  error,
}: WebhookAttempt): z.infer<typeof attemptView> {
  return { number, at, durationMs, status, response, error };
}
