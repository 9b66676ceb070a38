import { setImmediate } from 'node:timers/promises';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, type Repository } from 'typeorm';
import { Reconciliation } from '../events/reconciliation.service.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import type { JobTypes } from '../jobs/job-types.js';
import { WebhookDelivery } from './webhook-delivery.entity.js';

const PAGE = 500;

/** Checks that every delivery that is on its way has an attempt that will be made. */
@Injectable()
export class DeliveryReconciliation implements OnModuleInit {
  constructor(
    @InjectRepository(WebhookDelivery) private readonly deliveries: Repository<WebhookDelivery>,
    private readonly queue: JobQueue,
    private readonly reconciliation: Reconciliation,
  ) {}

  onModuleInit(): void {
    this.reconciliation.add('deliveries_without_outcome', () => this.countStranded());
  }

  private async countStranded(): Promise<number> {
    let count = 0;
    let last = { endpointId: '', id: '' };
    for (let full = true; full; await setImmediate()) {
      const page = await this.pendingAfter(last);
      const without = await this.withoutAttempt(page);
      // Asked again: a delivery that has ended in between has no job any more, and needs none.
      const still = await this.deliveries.findBy({ id: In(without.map(({ id }) => id)), status: 'pending' });
      count += (await this.withoutAttempt(still)).length;
      full = page.length === PAGE;
      last = page.at(-1) ?? last;
    }
    return count;
  }

  private async pendingAfter(last: { endpointId: string; id: string }): Promise<WebhookDelivery[]> {
    return this.deliveries
      .createQueryBuilder('delivery')
      .select(['delivery.id', 'delivery.endpointId', 'delivery.eventId'])
      .where({ status: 'pending', retries: true })
      .andWhere('(delivery.endpointId, delivery.id) > (:endpointId, :id)', last)
      .orderBy({ 'delivery.endpointId': 'ASC', 'delivery.id': 'ASC' })
      .limit(PAGE)
      .getMany();
  }

  private async withoutAttempt(deliveries: WebhookDelivery[]): Promise<WebhookDelivery[]> {
    const jobs = await this.queue.ofEvents(deliveries.map(({ eventId }) => eventId));
    const attempted = new Set(
      jobs
        .filter(({ type, state }) => type === 'webhook.attempt' && state !== 'completed' && state !== 'dead')
        .map(({ payload }) => (payload as JobTypes['webhook.attempt']).deliveryId),
    );
    return deliveries.filter(({ id }) => !attempted.has(id));
  }
}
