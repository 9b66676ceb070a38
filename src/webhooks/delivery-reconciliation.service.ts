import { setImmediate } from 'node:timers/promises';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { sqlFor } from '../database/sql.js';
import { Reconciliation } from '../events/reconciliation.service.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import { WebhookDelivery } from './webhook-delivery.entity.js';

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
    for (const endpointId of await this.endpointsWaitedFor()) {
      const stranded = await this.strandedOf(endpointId);
      if (stranded.length > 0) {
        // Asked again: a delivery that has ended in between has no job any more, and needs none.
        const still = new Set(await this.strandedOf(endpointId));
        count += stranded.filter((id) => still.has(id)).length;
      }
      await setImmediate();
    }
    return count;
  }

  private async endpointsWaitedFor(): Promise<string[]> {
    const sql = `SELECT DISTINCT "endpointId" FROM webhook_deliveries WHERE status = 'pending'`;
    const rows = await this.deliveries.query<{ endpointId: string }[]>(sql);
    return rows.map(({ endpointId }) => endpointId);
  }

  /** Deliveries to an endpoint that are on their way, and have no job. A test has none to be found by, and is tried once. */
  private async strandedOf(endpointId: string): Promise<string[]> {
    const sql = `SELECT id FROM webhook_deliveries WHERE status = 'pending' AND "endpointId" = ? AND retries = true`;
    const pending = await this.deliveries.query<{ id: string }[]>(sqlFor(this.deliveries.manager.connection, sql), [
      endpointId,
    ]);
    const jobs = await this.queue.livePayloads('webhook.attempt', endpointId);
    const attempted = new Set(jobs.map(({ deliveryId }) => deliveryId));
    return pending.flatMap(({ id }) => (attempted.has(id) ? [] : [id]));
  }
}
