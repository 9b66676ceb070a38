import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, IsNull, LessThan, Not, type EntityManager, type Repository } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { AppError } from '../common/app-error.js';
import { SecretCipher } from '../database/secret-cipher.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { checkFilters } from '../events/event-filter.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import { SECRET_PREFIX } from './signature.js';
import { WebhookClient } from './webhook-client.js';
import { WebhookDelivery } from './webhook-delivery.entity.js';
import { WebhookEndpoint } from './webhook-endpoint.entity.js';

const SECRET_BYTES = 32;
const HOUR_MS = 3_600_000;
const MAX_IN_TROUBLE = 20;

/** What an admin says of a new endpoint. */
export interface NewEndpoint {
  url: string;
  events: string[];
  description?: string | undefined;
  secret?: string | undefined;
}

/** What an admin changes of an endpoint. */
export interface EndpointChanges {
  url?: string | undefined;
  events?: string[] | undefined;
  description?: string | null | undefined;
  enabled?: boolean | undefined;
}

/** Owns the endpoints: who gets which events, under which secrets, and who gets none any more. */
@Injectable()
export class WebhookEndpoints {
  constructor(
    @InjectRepository(WebhookEndpoint) private readonly endpoints: Repository<WebhookEndpoint>,
    private readonly unitOfWork: UnitOfWork,
    private readonly cipher: SecretCipher,
    private readonly client: WebhookClient,
    private readonly queue: JobQueue,
    private readonly trail: AuditTrail,
  ) {}

  /**
   * Adds an endpoint. Its secret is returned here and never again.
   *
   * @throws AppError VALIDATION for an event that does not exist, or a URL that may not be reached.
   */
  async create({
    url,
    events,
    description,
    secret = newSecret(),
  }: NewEndpoint): Promise<{ endpoint: WebhookEndpoint; secret: string }> {
    const filters = checkFilters(events);
    await this.refuseUnreachable(url);
    const id = uuidv7();
    const now = Date.now();
    const endpoint = this.endpoints.create({
      id,
      url,
      events: filters,
      description: description ?? null,
      secret: this.cipher.encrypt(secret, id),
      previousSecret: null,
      previousSecretUntil: null,
      disabledAt: null,
      disabledReason: null,
      failingSince: null,
      createdAt: now,
      updatedAt: now,
    });
    await this.unitOfWork.run(async (tx) => {
      await tx.insert(WebhookEndpoint, endpoint);
      // The host alone: the rest of an address can be a secret.
      await this.trail.record('webhook.created', {
        subject: id,
        details: { host: new URL(url).host, events: filters },
      });
    });
    return { endpoint, secret };
  }

  /** Lists endpoints, the newest first. */
  async list(beforeId: string | undefined, limit: number): Promise<WebhookEndpoint[]> {
    const where = beforeId === undefined ? {} : { id: LessThan(beforeId) };
    return this.endpoints.find({ where, order: { id: 'DESC' }, take: limit });
  }

  /** @throws AppError NOT_FOUND */
  async get(id: string): Promise<WebhookEndpoint> {
    const endpoint = await this.endpoints.findOneBy({ id });
    if (!endpoint) throw noSuchEndpoint();
    return endpoint;
  }

  /** Returns those of some endpoints that exist. */
  async getAll(ids: string[]): Promise<WebhookEndpoint[]> {
    return this.endpoints.findBy({ id: In(ids) });
  }

  /** Returns how many endpoints there are, and those that are disabled or failing, longest in trouble first. */
  async inTrouble(): Promise<{ total: number; endpoints: WebhookEndpoint[] }> {
    const where = [{ disabledAt: Not(IsNull()) }, { failingSince: Not(IsNull()) }];
    const endpoints = await this.endpoints.find({
      where,
      order: { failingSince: 'ASC', id: 'ASC' },
      take: MAX_IN_TROUBLE,
    });
    return { total: await this.endpoints.count(), endpoints };
  }

  /**
   * Lets nobody else change endpoints, their health or their deliveries before the current unit of work has ended: what is
   * read of them from here on holds until then.
   */
  async hold(ids: Iterable<string>): Promise<void> {
    await this.unitOfWork.lock(...Array.from(new Set(ids), (id) => `endpoint ${id}`));
  }

  /** Returns every endpoint that events are sent to. */
  async enabled(): Promise<WebhookEndpoint[]> {
    return this.endpoints.findBy({ disabledAt: IsNull() });
  }

  /**
   * Changes an endpoint. Enabling it again forgets its failures; what happened in between is had by a replay.
   *
   * @throws AppError NOT_FOUND, or as {@link create}.
   */
  async change(id: string, given: EndpointChanges): Promise<WebhookEndpoint> {
    const { url, events, description, enabled } = given;
    await this.get(id);
    if (url !== undefined) await this.refuseUnreachable(url);
    const changes = {
      // A new address has failed nothing yet.
      ...(url !== undefined && { url, failingSince: null }),
      ...(events && { events: checkFilters(events) }),
      ...(description !== undefined && { description }),
    };
    await this.unitOfWork.run(async (tx) => {
      await this.hold([id]);
      const { affected } = await tx.update(WebhookEndpoint, { id }, { ...changes, updatedAt: Date.now() });
      if (!affected) throw noSuchEndpoint();
      const changed = Object.keys(given).filter((name) => given[name as keyof EndpointChanges] !== undefined);
      await this.trail.record('webhook.changed', { subject: id, details: { changed } });
      if (enabled === true) {
        await tx.update(WebhookEndpoint, { id }, { disabledAt: null, disabledReason: null, failingSince: null });
      }
      if (enabled === false) await this.disable(tx, id, 'Disabled by an admin');
    });
    return this.get(id);
  }

  /** Stops sending to an endpoint that the caller holds: what is on its way is dead, and can be redelivered. */
  async disable(tx: EntityManager, id: string, reason: string): Promise<void> {
    const now = Date.now();
    const change = { disabledAt: now, disabledReason: reason, updatedAt: now };
    const { affected } = await tx.update(WebhookEndpoint, { id, disabledAt: IsNull() }, change);
    if (!affected) return;
    await tx.update(
      WebhookDelivery,
      { endpointId: id, status: 'pending' },
      // The number is used up, so that an answer to a request that is still open is not taken for a later one's.
      { status: 'dead', nextAttemptAt: null, finishedAt: now, attempts: () => 'attempts + 1' },
    );
    await this.queue.discardGroup('webhook.attempt', id);
    await this.trail.record('webhook.disabled', { subject: id, details: { reason } });
  }

  /** Removes an endpoint with its deliveries. @throws AppError NOT_FOUND */
  async delete(id: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await this.hold([id]);
      const { affected } = await tx.delete(WebhookEndpoint, { id });
      if (!affected) throw noSuchEndpoint();
      await this.queue.discardGroup('webhook.attempt', id);
      await this.trail.record('webhook.deleted', { subject: id });
    });
  }

  /**
   * Gives an endpoint a new secret; the one before it signs as well for a while.
   *
   * @returns the new secret, which is never shown again, and when the overlap ends.
   * @throws AppError NOT_FOUND; CONFLICT while the overlap of an earlier rotation lasts, unless this one has none.
   */
  async rotateSecret(
    id: string,
    { secret = newSecret(), overlapHours }: { secret?: string | undefined; overlapHours: number },
  ): Promise<{ secret: string; previousSecretUntil: number }> {
    const now = Date.now();
    const previousSecretUntil = now + overlapHours * HOUR_MS;
    await this.unitOfWork.run(async (tx) => {
      await this.hold([id]);
      const endpoint = await tx.findOneBy(WebhookEndpoint, { id });
      if (!endpoint) throw noSuchEndpoint();
      if (overlapHours > 0 && (endpoint.previousSecretUntil ?? 0) > now) {
        const message = 'The secret before this one still signs: wait, or end its overlap with {"overlapHours":0}';
        throw new AppError('CONFLICT', message, [{ code: 'ROTATION_UNDER_WAY', message }]);
      }
      const change = { secret: this.cipher.encrypt(secret, id), previousSecret: endpoint.secret, previousSecretUntil };
      await tx.update(WebhookEndpoint, { id }, { ...change, updatedAt: now });
      await this.trail.record('webhook.secret_rotated', { subject: id, details: { previousSecretUntil } });
    });
    return { secret, previousSecretUntil };
  }

  /** Returns the secrets in force, the newest first. */
  secretsOf(endpoint: WebhookEndpoint, now: number): [string, ...string[]] {
    const { id, secret, previousSecret, previousSecretUntil } = endpoint;
    const current = this.cipher.decrypt(secret, id);
    if (previousSecret === null || previousSecretUntil === null || previousSecretUntil <= now) return [current];
    return [current, this.cipher.decrypt(previousSecret, id)];
  }

  private async refuseUnreachable(url: string): Promise<void> {
    const refusal = await this.client.refusalOf(url);
    if (refusal === undefined) return;
    throw new AppError('VALIDATION', refusal, [{ field: 'url', code: 'URL_REFUSED', message: refusal }]);
  }
}

function newSecret(): string {
  return `${SECRET_PREFIX}${randomBytes(SECRET_BYTES).toString('base64')}`;
}

function noSuchEndpoint(): AppError {
  return new AppError('NOT_FOUND', 'There is no such webhook endpoint');
}
