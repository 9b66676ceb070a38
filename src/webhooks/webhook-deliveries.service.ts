import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, LessThan, Not, type EntityManager, type Repository } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { AppError } from '../common/app-error.js';
import { lowestIdAt } from '../common/time-ids.js';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import type { DomainEvent } from '../events/domain-event.js';
import { matchesFilter, typesOf } from '../events/event-filter.js';
import { EventJournal } from '../events/event-journal.service.js';
import { EventTraces } from '../events/event-traces.service.js';
import { DurableReaders } from '../jobs/durable-readers.service.js';
import { JobHandler } from '../jobs/job-handler.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import type { JobContext, JobTypes } from '../jobs/job-types.js';
import { WebhookAttempts } from './webhook-attempts.service.js';
import { WebhookAttempt, WebhookDelivery, type DeliveryStatus } from './webhook-delivery.entity.js';
import { WebhookEndpoint } from './webhook-endpoint.entity.js';
import { WebhookEndpoints } from './webhook-endpoints.service.js';

declare module '../jobs/job-types.js' {
  interface JobTypes {
    /** Sends an endpoint again what it missed, a page of the journal at a time. */
    'webhook.replay': { endpointId: string; afterSeq: number; throughSeq: number };
  }
}

const DAY_MS = 86_400_000;
const PAGE = 500;
const REMOVAL_BATCH = 500;
/** A statement of SQLite's holds 32,766 parameters. */
const INSERT_BATCH = 500;

/** A delivery and what was tried for it. */
export interface LoggedDelivery {
  delivery: WebhookDelivery;
  /** Oldest first. */
  attempts: WebhookAttempt[];
}

/** The part of an event that receivers see. */
type Message = Pick<DomainEvent, 'id' | 'timestamp'> & { type: string; payload: object };

/** Owns the deliveries: makes one for each event and endpoint that fit, and lets admins see and repeat them. */
@Injectable()
export class WebhookDeliveries implements OnModuleInit {
  constructor(
    @InjectRepository(WebhookDelivery) private readonly deliveries: Repository<WebhookDelivery>,
    @InjectRepository(WebhookAttempt) private readonly attempts: Repository<WebhookAttempt>,
    private readonly endpoints: WebhookEndpoints,
    private readonly attempter: WebhookAttempts,
    private readonly readers: DurableReaders,
    private readonly journal: EventJournal,
    private readonly queue: JobQueue,
    private readonly trail: AuditTrail,
    private readonly unitOfWork: UnitOfWork,
    private readonly housekeeping: Housekeeping,
    private readonly config: Config,
    private readonly traces: EventTraces,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.readers.add('webhooks', undefined, (events) => this.plan(events));
    this.housekeeping.register('webhook deliveries', () => this.removeOld(Date.now()));
    this.traces.add('deliveries', (eventId) => this.traceOf(eventId));
  }

  /** Lists an endpoint's deliveries, the newest first, each with its attempts. @throws AppError NOT_FOUND */
  async list(
    endpointId: string,
    filter: { status?: DeliveryStatus | undefined; beforeId?: string | undefined; limit: number },
  ): Promise<LoggedDelivery[]> {
    await this.endpoints.get(endpointId);
    const where = {
      endpointId,
      ...(filter.status && { status: filter.status }),
      ...(filter.beforeId !== undefined && { id: LessThan(filter.beforeId) }),
    };
    const deliveries = await this.deliveries.find({ where, order: { id: 'DESC' }, take: filter.limit });
    return this.withAttempts(deliveries);
  }

  /** @throws AppError NOT_FOUND */
  async get(id: string): Promise<LoggedDelivery> {
    const delivery = await this.deliveries.findOneBy({ id });
    if (!delivery) throw noSuchDelivery();
    const [logged] = await this.withAttempts([delivery]);
    return logged as LoggedDelivery;
  }

  private async withAttempts(deliveries: WebhookDelivery[]): Promise<LoggedDelivery[]> {
    const attempts = await this.attempts.find({
      where: { deliveryId: In(deliveries.map(({ id }) => id)) },
      order: { id: 'ASC' },
    });
    const logs = groupByDelivery(attempts);
    return deliveries.map((delivery) => ({ delivery, attempts: logs.get(delivery.id) ?? [] }));
  }

  /** Sends a test event, once, whether or not the endpoint is enabled. @throws AppError NOT_FOUND */
  async test(endpointId: string): Promise<WebhookDelivery> {
    const endpoint = await this.endpoints.get(endpointId);
    const now = Date.now();
    const message: Message = {
      id: `evt-${uuidv7()}`,
      type: 'webhook.test',
      timestamp: new Date(now).toISOString(),
      payload: { endpointId },
    };
    const delivery = this.newDelivery(endpoint, message, now, false);
    await this.unitOfWork.run(async (tx) => {
      await this.send(tx, [delivery], now);
      await this.trail.record('webhook.tested', { subject: endpointId, details: { deliveryId: delivery.id } });
    });
    return delivery;
  }

  /**
   * Sends one delivery again, with the whole schedule before it, under the same `webhook-id`.
   *
   * @throws AppError NOT_FOUND; CONFLICT while it is still on its way, or its endpoint is disabled.
   */
  async redeliver(id: string): Promise<WebhookDelivery> {
    const { delivery: found } = await this.get(id);
    return this.unitOfWork.run(async (tx) => {
      await this.endpoints.hold([found.endpointId]);
      const delivery = await tx.findOne(WebhookDelivery, { where: { id }, relations: { endpoint: true } });
      if (!delivery) throw noSuchDelivery();
      if (delivery.status === 'pending') throw conflict('DELIVERY_PENDING', 'The delivery is still on its way');
      if (delivery.endpoint.disabledAt !== null) {
        throw conflict('ENDPOINT_DISABLED', 'The endpoint is disabled: enable it first');
      }
      const now = Date.now();
      const again = { status: 'pending' as const, step: 0, hostFailures: 0, nextAttemptAt: now, finishedAt: null };
      await tx.update(WebhookDelivery, { id }, again);
      Object.assign(delivery, again);
      await this.attempter.submitAttempts([delivery], now);
      const { endpointId, eventId } = delivery;
      await this.trail.record('webhook.redelivered', { subject: endpointId, details: { deliveryId: id, eventId } });
      return delivery;
    });
  }

  /**
   * Sends an endpoint again every event that fits it since a cursor, also those it has had.
   *
   * @param after - an event's id; undefined for everything that is kept.
   * @returns false when events after the cursor are gone.
   * @throws AppError NOT_FOUND, VALIDATION for a cursor that never was an event's id, CONFLICT for a disabled endpoint.
   */
  async replay(endpointId: string, after: string | undefined): Promise<{ complete: boolean }> {
    const endpoint = await this.endpoints.get(endpointId);
    if (endpoint.disabledAt !== null) throw conflict('ENDPOINT_DISABLED', 'The endpoint is disabled: enable it first');
    const { afterSeq, complete } =
      after === undefined ? { afterSeq: 0, complete: true } : await this.journal.locate(after, 'after');
    await this.journal.catchUp();
    const throughSeq = await this.journal.head();
    await this.unitOfWork.run(async () => {
      await this.queue.submit('webhook.replay', { endpointId, afterSeq, throughSeq });
      await this.trail.record('webhook.replayed', { subject: endpointId, details: { after: after ?? null } });
    });
    return { complete };
  }

  /** One page and the job of the next one, together. */
  @JobHandler('webhook.replay')
  async replayPage({ endpointId, afterSeq, throughSeq }: JobTypes['webhook.replay'], job: JobContext): Promise<void> {
    const endpoint = (await this.endpoints.enabled()).find(({ id }) => id === endpointId);
    if (!endpoint) return;
    const types = typesOf(endpoint.events);
    // Another instance may have fixed how far it goes.
    await this.journal.catchUp();
    const events = await this.journal.read({ afterSeq, throughSeq, types, limit: PAGE });
    const now = Date.now();
    await this.unitOfWork.run(async (tx) => {
      const deliveries = events.map((event) => this.newDelivery(endpoint, event, now));
      await this.send(tx, deliveries, now);
      const last = events.at(-1);
      if (last && events.length === PAGE) {
        await this.queue.submit('webhook.replay', { endpointId, afterSeq: last.seq, throughSeq });
      }
      await job.complete();
    });
  }

  /** Says what a page of the journal means for the endpoints there are. */
  private async plan(events: readonly DomainEvent[]): Promise<((tx: EntityManager) => Promise<void>) | undefined> {
    const endpoints = await this.endpoints.enabled();
    const now = Date.now();
    const deliveries = events.flatMap((event) =>
      endpoints
        .filter((endpoint) => endpoint.events.some((filter) => matchesFilter(filter, event.type)))
        .map((endpoint) => this.newDelivery(endpoint, event, now)),
    );
    return deliveries.length === 0 ? undefined : (tx) => this.send(tx, deliveries, now);
  }

  private newDelivery(endpoint: WebhookEndpoint, event: Message, now: number, retries = true): WebhookDelivery {
    const { id, type, timestamp, payload } = event;
    return this.deliveries.create({
      id: uuidv7(),
      endpointId: endpoint.id,
      eventId: id,
      eventType: type,
      body: JSON.stringify({ id, type, timestamp, payload }),
      status: 'pending',
      attempts: 0,
      step: 0,
      hostFailures: 0,
      retries,
      nextAttemptAt: now + (retries ? (this.config.WEBHOOK_RETRY_SCHEDULE[0] ?? 0) : 0),
      createdAt: now,
      finishedAt: null,
    });
  }

  private async send(tx: EntityManager, deliveries: WebhookDelivery[], now: number): Promise<void> {
    const ids = [...new Set(deliveries.map(({ endpointId }) => endpointId))];
    await this.endpoints.hold(ids);
    // An endpoint may have been deleted or disabled since it was read; a test goes to a disabled one too.
    const endpoints = await tx.find(WebhookEndpoint, {
      where: { id: In(ids) },
      select: { id: true, disabledAt: true },
    });
    const disabledAt = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint.disabledAt]));
    const wanted = deliveries.filter(({ endpointId, retries }) => {
      const disabled = disabledAt.get(endpointId);
      return disabled === null || (disabled !== undefined && !retries);
    });
    if (wanted.length === 0) return;
    for (let at = 0; at < wanted.length; at += INSERT_BATCH) {
      await tx.insert(WebhookDelivery, wanted.slice(at, at + INSERT_BATCH));
    }
    await this.attempter.submitAttempts(wanted, now);
  }

  private async traceOf(eventId: string): Promise<Record<string, unknown>[]> {
    const logged = await this.withAttempts(await this.deliveries.find({ where: { eventId }, order: { id: 'ASC' } }));
    return logged.map(({ delivery, attempts }) => {
      const { id, endpointId, status, createdAt, nextAttemptAt, finishedAt } = delivery;
      const tried = attempts.map(({ number, at, durationMs, status: answer, error }) => {
        return { number, at, durationMs, status: answer, error };
      });
      return { id, endpointId, status, createdAt, nextAttemptAt, finishedAt, attempts: tried };
    });
  }

  /** Removes deliveries that ended longer ago than events are kept. */
  private async removeOld(now: number): Promise<void> {
    const before = now - this.config.EVENTS_RETENTION_DAYS * DAY_MS;
    for (let removed = REMOVAL_BATCH; removed === REMOVAL_BATCH;) {
      const ended = { status: Not<DeliveryStatus>('pending'), finishedAt: LessThan(before) };
      const old = await this.deliveries.find({
        select: { id: true },
        where: { id: LessThan(lowestIdAt(before)), ...ended },
        take: REMOVAL_BATCH,
      });
      removed = old.length;
      const ids = In(old.map(({ id }) => id));
      // Unless one is sent again in this moment.
      if (removed > 0) await this.unitOfWork.run((tx) => tx.delete(WebhookDelivery, { id: ids, ...ended }));
    }
  }
}

function noSuchDelivery(): AppError {
  return new AppError('NOT_FOUND', 'There is no such delivery');
}

function groupByDelivery(attempts: readonly WebhookAttempt[]): Map<string, WebhookAttempt[]> {
  const groups = new Map<string, WebhookAttempt[]>();
  for (const attempt of attempts) groups.set(attempt.deliveryId, [...(groups.get(attempt.deliveryId) ?? []), attempt]);
  return groups;
}

function conflict(code: string, message: string): AppError {
  return new AppError('CONFLICT', message, [{ code, message }]);
}
