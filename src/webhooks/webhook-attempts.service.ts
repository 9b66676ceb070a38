import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { SpanKind } from '@opentelemetry/api';
import { In, type EntityManager, type Repository } from 'typeorm';
import { Batcher } from '../common/batcher.js';
import { Config } from '../config/config.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { JobHandler, OnDeadJob } from '../jobs/job-handler.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import type { JobContext, JobTypes } from '../jobs/job-types.js';
import { JobWorker } from '../jobs/job-worker.service.js';
import { fail, inSpan } from '../telemetry/spans.js';
import { afterAttempt, MAX_FAILING_MS, outcomeFor, type AttemptResult } from './delivery-schedule.js';
import { signedHeaders } from './signature.js';
import { WebhookClient } from './webhook-client.js';
import { WebhookAttempt, WebhookDelivery } from './webhook-delivery.entity.js';
import { WebhookEndpoint } from './webhook-endpoint.entity.js';
import { WebhookEndpoints } from './webhook-endpoints.service.js';

declare module '../jobs/job-types.js' {
  interface JobTypes {
    'webhook.attempt': {
      deliveryId: string;
      /** The number of the attempt: one that was recorded already is not made again. */
      attempt: number;
    };
  }
}

/** What an attempt says about its endpoint. */
interface Verdict {
  endpointId: string;
  url: string;
  outcome: AttemptResult['outcome'];
}

/** What an attempt needs to know. */
interface Loaded {
  delivery: WebhookDelivery;
  endpoint: WebhookEndpoint;
}

/** How long outcomes gather while many come: a commit costs as much as many of them. */
const RECORDING_PAUSE_MS = 5;

/** An attempt whose outcome waits to be written. */
interface Recorded {
  deliveryId: string;
  endpointId: string;
  number: number;
  /** Where it went; undefined for an attempt that was not made. */
  url?: string;
  result: AttemptResult;
}

/**
 * Makes the attempts of deliveries. The delivery owns the schedule: an attempt writes its outcome and the job of the
 * next one in one transaction.
 *
 * A crash between the request and that transaction makes the attempt again, under the same `webhook-id`.
 */
@Injectable()
export class WebhookAttempts implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly loader = new Batcher<string, Loaded | undefined>((ids) => this.load(ids), 0);
  private readonly recorder = new Batcher<Recorded>(async (batch) => {
    await this.unitOfWork.run((tx) => this.write(tx, batch));
    return [];
  }, RECORDING_PAUSE_MS);

  constructor(
    @InjectRepository(WebhookDelivery) private readonly deliveries: Repository<WebhookDelivery>,
    private readonly endpoints: WebhookEndpoints,
    private readonly client: WebhookClient,
    private readonly queue: JobQueue,
    private readonly worker: JobWorker,
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
  ) {}

  @JobHandler('webhook.attempt')
  async attempt({ deliveryId, attempt }: JobTypes['webhook.attempt'], { signal }: JobContext): Promise<void> {
    const loaded = await this.loader.add(deliveryId);
    if (loaded?.delivery.status !== 'pending' || loaded.delivery.attempts >= attempt) return;
    const { endpoint, delivery } = loaded;
    const { eventId, eventType, body } = delivery;
    const now = Date.now();
    const secrets = this.endpoints.secretsOf(endpoint, now);
    const message = { endpointId: endpoint.id, deliveryId, eventId, eventType, body, now, secrets };
    const request = { url: endpoint.url, headers: signedHeaders(message), body, signal };
    // The host alone: the rest of a URL may be a secret. No `traceparent` is sent: a receiver has the event's id.
    const attributes = {
      'server.address': new URL(endpoint.url).hostname,
      'herald.webhook.endpoint_id': endpoint.id,
      'herald.webhook.delivery_id': deliveryId,
      'herald.webhook.attempt': attempt,
    };
    const result = await inSpan('webhook attempt', { kind: SpanKind.CLIENT, attributes }, async (span) => {
      const ended = await this.client.send(request);
      if (ended.status !== null) span?.setAttribute('http.response.status_code', ended.status);
      if (ended.outcome !== 'delivered') fail(span, ended.outcome);
      return ended;
    });
    // Given up by a shutdown: the next process makes this attempt.
    signal.throwIfAborted();
    await this.recorder.add({ deliveryId, endpointId: endpoint.id, number: attempt, url: endpoint.url, result });
  }

  /** An attempt that could not even be made, or was discarded: the delivery goes on without it, or ends. */
  @OnDeadJob('webhook.attempt')
  async onDead({ deliveryId, attempt }: JobTypes['webhook.attempt'], reason: string): Promise<void> {
    const delivery = await this.deliveries.findOneBy({ id: deliveryId });
    if (!delivery) return;
    const { endpointId } = delivery;
    const times = { at: Date.now(), durationMs: 0 };
    const result = { ...times, outcome: 'failed' as const, status: null, response: null, retryAfterMs: null };
    await this.unitOfWork.run((tx) =>
      this.write(tx, [{ deliveryId, endpointId, number: attempt, result: { ...result, error: reason } }]),
    );
  }

  /** Jobs that were kept in memory went with the process before: the deliveries they were for get new ones. */
  async onApplicationBootstrap(): Promise<void> {
    if (this.config.JOBS_STORE !== 'memory') return;
    const pending = await this.deliveries.findBy({ status: 'pending' });
    await this.submitAttempts(pending, Date.now());
  }

  async onApplicationShutdown(): Promise<void> {
    await this.worker.drain();
    await this.client.close();
  }

  private async load(ids: readonly string[]): Promise<(Loaded | undefined)[]> {
    const rows = await this.deliveries.findBy({ id: In([...ids]) });
    const deliveries = new Map(rows.map((delivery) => [delivery.id, delivery]));
    const owners = await this.endpoints.getAll([...new Set(rows.map(({ endpointId }) => endpointId))]);
    const endpoints = new Map(owners.map((endpoint) => [endpoint.id, endpoint]));
    return ids.map((id) => {
      const delivery = deliveries.get(id);
      const endpoint = delivery && endpoints.get(delivery.endpointId);
      return delivery && endpoint && { delivery, endpoint };
    });
  }

  /** Writes outcomes, where the attempt is still the delivery's next one. */
  private async write(tx: EntityManager, batch: readonly Recorded[]): Promise<void> {
    await this.endpoints.hold(batch.map(({ endpointId }) => endpointId));
    const now = Date.now();
    const ids = [...new Set(batch.map(({ deliveryId }) => deliveryId))];
    const deliveries = new Map((await tx.findBy(WebhookDelivery, { id: In(ids) })).map((row) => [row.id, row]));
    const changed: WebhookDelivery[] = [];
    const attempts: Partial<WebhookAttempt>[] = [];
    const verdicts: Verdict[] = [];
    for (const { deliveryId, number, url, result } of batch) {
      const delivery = deliveries.get(deliveryId);
      if (delivery?.status !== 'pending' || delivery.attempts + 1 !== number) continue;
      const { at, durationMs, status, response, error } = result;
      attempts.push({ deliveryId, number, at, durationMs, status, response, error });
      const outcome = outcomeFor(delivery, result);
      // A test says nothing about the endpoint's health.
      if (delivery.retries && url !== undefined) verdicts.push({ endpointId: delivery.endpointId, url, outcome });
      Object.assign(delivery, afterAttempt(delivery, result, this.config.WEBHOOK_RETRY_SCHEDULE, now, Math.random));
      changed.push(delivery);
    }
    if (changed.length === 0) return;
    await tx.upsert(WebhookDelivery, changed, ['id']);
    await tx.insert(WebhookAttempt, attempts);
    await this.submitAttempts(
      changed.filter(({ status }) => status === 'pending'),
      now,
    );
    await this.judge(tx, verdicts, now);
  }

  /** Submits the job of each delivery's next attempt, with the caller's unit of work. */
  async submitAttempts(deliveries: readonly WebhookDelivery[], now: number): Promise<void> {
    if (deliveries.length === 0) return;
    await this.queue.submitAll(
      'webhook.attempt',
      deliveries.map(({ id, endpointId, eventId, retries, attempts, nextAttemptAt }) => ({
        payload: { deliveryId: id, attempt: attempts + 1 },
        options: {
          group: endpointId,
          delayMs: Math.max(0, (nextAttemptAt ?? now) - now),
          // The event of a test is in no journal.
          ...(retries && { eventId }),
        },
      })),
    );
  }

  /** Keeps each endpoint's health; one that is gone, or fails for too long, is disabled. */
  private async judge(tx: EntityManager, verdicts: readonly Verdict[], now: number): Promise<void> {
    const ids = [...new Set(verdicts.map(({ endpointId }) => endpointId))];
    const endpoints = await tx.findBy(WebhookEndpoint, { id: In(ids) });
    for (const { id, url, failingSince } of endpoints) {
      // What an address answered that is no longer the endpoint's says nothing about the one that is.
      const relevant = verdicts.filter((verdict) => verdict.endpointId === id && verdict.url === url);
      const outcomes = new Set(relevant.map(({ outcome }) => outcome));
      if (outcomes.has('gone')) await this.endpoints.disable(tx, id, 'The receiver answered 410 Gone');
      else if (outcomes.has('delivered')) {
        if (failingSince !== null) await tx.update(WebhookEndpoint, { id }, { failingSince: null });
      } else if (outcomes.has('failed')) {
        if (failingSince === null) await tx.update(WebhookEndpoint, { id }, { failingSince: now });
        else if (now - failingSince >= MAX_FAILING_MS) {
          await this.endpoints.disable(tx, id, 'Every attempt of the last five days failed');
        }
      }
    }
  }
}
