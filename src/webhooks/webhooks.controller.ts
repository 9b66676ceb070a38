import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { toPage, type Page } from '../common/pagination.js';
import { AllowScope, Roles } from '../common/principal.js';
import { WebhookDeliveries } from './webhook-deliveries.service.js';
import type { DeliveryStatus, WebhookAttempt, WebhookDelivery } from './webhook-delivery.entity.js';
import type { WebhookEndpoint } from './webhook-endpoint.entity.js';
import { WebhookEndpoints } from './webhook-endpoints.service.js';
import { changeBody, createBody, deliveriesQuery, listQuery, replayBody, rotateBody } from './webhook.schemas.js';

/** An endpoint as admins see it; times in epoch ms. */
type EndpointView = Omit<WebhookEndpoint, 'secret' | 'previousSecret'> & { status: 'enabled' | 'disabled' };

/** A delivery as admins see it. */
interface DeliveryView {
  id: string;
  endpointId: string;
  eventId: string;
  eventType: string;
  status: DeliveryStatus;
  nextAttemptAt: number | null;
  createdAt: number;
  finishedAt: number | null;
}
type AttemptView = Omit<WebhookAttempt, 'id' | 'delivery' | 'deliveryId'>;

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
  async create(
    @Body({ schema: createBody }) body: z.infer<typeof createBody>,
  ): Promise<EndpointView & { secret: string }> {
    const { endpoint, secret } = await this.endpoints.create(body);
    return { ...toEndpointView(endpoint), secret };
  }

  @Get()
  async list(@Query({ schema: listQuery }) { after, limit }: z.infer<typeof listQuery>): Promise<Page<EndpointView>> {
    const endpoints = await this.endpoints.list(after, limit + 1);
    return toPage(endpoints.map(toEndpointView), limit, ({ id }) => id);
  }

  @Get(':id')
  async one(@Param('id') id: string): Promise<EndpointView> {
    return toEndpointView(await this.endpoints.get(id));
  }

  @Patch(':id')
  async change(
    @Param('id') id: string,
    @Body({ schema: changeBody }) changes: z.infer<typeof changeBody>,
  ): Promise<EndpointView> {
    return toEndpointView(await this.endpoints.change(id, changes));
  }

  @Delete(':id')
  @HttpCode(204)
  async delete(@Param('id') id: string): Promise<void> {
    await this.endpoints.delete(id);
  }

  @Post(':id/test')
  @HttpCode(202)
  async test(@Param('id') id: string): Promise<DeliveryView> {
    return toDeliveryView(await this.deliveries.test(id));
  }

  @Post(':id/rotate-secret')
  @HttpCode(200)
  async rotateSecret(
    @Param('id') id: string,
    @Body({ schema: rotateBody }) options: z.infer<typeof rotateBody>,
  ): Promise<{ secret: string; previousSecretUntil: number }> {
    return this.endpoints.rotateSecret(id, options);
  }

  @Get(':id/deliveries')
  async listDeliveries(
    @Param('id') id: string,
    @Query({ schema: deliveriesQuery }) { status, after, limit }: z.infer<typeof deliveriesQuery>,
  ): Promise<Page<DeliveryView & { attempts: AttemptView[] }>> {
    const deliveries = await this.deliveries.list(id, { status, beforeId: after, limit: limit + 1 });
    const views = deliveries.map(({ delivery, attempts }) => ({
      ...toDeliveryView(delivery),
      attempts: attempts.map(toAttemptView),
    }));
    return toPage(views, limit, (view) => view.id);
  }

  @Post('deliveries/:id/redeliver')
  @HttpCode(202)
  async redeliver(@Param('id') id: string): Promise<DeliveryView> {
    return toDeliveryView(await this.deliveries.redeliver(id));
  }

  @Post(':id/replay')
  @HttpCode(202)
  async replay(
    @Param('id') id: string,
    @Body({ schema: replayBody }) { after }: z.infer<typeof replayBody>,
  ): Promise<{ complete: boolean }> {
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

function toAttemptView({ number, at, durationMs, status, response, error }: WebhookAttempt): AttemptView {
  return { number, at, durationMs, status, response, error };
}
