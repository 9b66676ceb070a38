import { randomUUID } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsNull, LessThan, type FindOptionsWhere, type Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import type { Principal, Scope } from '../common/principal.js';
import { sha256 } from '../common/sha256.js';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { RateLimitCounts } from '../database/rate-limit-counts.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from '../events/event-bus.js';
import { ApiKeyLookup } from '../users/api-key-lookup.js';
import { SessionsService } from '../users/sessions.service.js';
import { UsersService } from '../users/users.service.js';
import { ApiKey } from './api-key.entity.js';
import { isRawKey, newRawKey, SHOWN_LENGTH } from './raw-key.js';

const DAY_MS = 86_400_000;
/** How exactly the last use of a key is kept: writing it down with every request would cost more than the request. */
const LAST_USE_MS = 60_000;

/** What an owner says of a new key. */
export interface NewApiKey {
  name: string;
  scopes: Scope[];
  expiresInDays?: number | undefined;
}

/** Owns the API keys: makes, shows and revokes them, and says whom one stands for. */
@Injectable()
export class ApiKeysService implements OnModuleInit {
  constructor(
    @InjectRepository(ApiKey) private readonly keys: Repository<ApiKey>,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly sessions: SessionsService,
    private readonly users: UsersService,
    private readonly lookup: ApiKeyLookup,
    private readonly housekeeping: Housekeeping,
    private readonly counts: RateLimitCounts,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.lookup.use({ byKey: (rawKey) => this.findByKey(rawKey), byId: (id) => this.find({ id }) });
    this.housekeeping.register('api keys', async () => {
      await this.unitOfWork.run((tx) => tx.delete(ApiKey, { expiresAt: LessThan(Date.now()) }));
    });
  }

  /** Makes a key and publishes `api_key.created`. The key is returned here and never again. @throws AppError CONFLICT */
  async create(userId: string, { name, scopes, expiresInDays }: NewApiKey): Promise<{ key: ApiKey; rawKey: string }> {
    const rawKey = newRawKey();
    const now = Date.now();
    const key = this.keys.create({
      id: randomUUID(),
      userId,
      name,
      hash: sha256(rawKey),
      prefix: rawKey.slice(0, SHOWN_LENGTH),
      scopes: [...new Set(scopes)],
      expiresAt: expiresInDays === undefined ? null : now + expiresInDays * DAY_MS,
      lastUsedAt: null,
      createdAt: now,
    });
    await this.unitOfWork.run(async (tx) => {
      await this.users.hold(userId);
      const { API_KEYS_MAX_PER_USER: max } = this.config;
      if (max > 0 && (await tx.countBy(ApiKey, { userId })) >= max) {
        const message = `An account has at most ${max} keys: revoke one first`;
        throw new AppError('CONFLICT', message, [{ code: 'KEYS_TOO_MANY', message }]);
      }
      await tx.insert(ApiKey, key);
      const { scopes: given, expiresAt } = key;
      await this.events.publish('api_key.created', { userId, keyId: key.id }, { scopes: given, expiresAt });
    });
    return { key, rawKey };
  }

  /** Lists the keys of an account, the newest first. */
  async list(userId: string): Promise<ApiKey[]> {
    return this.keys.find({ where: { userId }, order: { createdAt: 'DESC', id: 'DESC' } });
  }

  /** Revokes a key, ends its connections and publishes `api_key.revoked`. @throws AppError NOT_FOUND, for another's too */
  async revoke(userId: string, id: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const { affected } = await tx.delete(ApiKey, { id, userId });
      if (!affected) throw new AppError('NOT_FOUND', 'There is no such key');
      // To whoever keeps connections open, a key is a session that never refreshes.
      await this.sessions.announceEnded({ sessionId: id });
      await this.events.publish('api_key.revoked', { userId, keyId: id });
    });
  }

  private async findByKey(rawKey: string): Promise<Principal | undefined> {
    if (!isRawKey(rawKey)) return undefined;
    const key = await this.findKey({ hash: sha256(rawKey) });
    if (!key) return undefined;
    await this.countUse(key);
    return toPrincipal(key);
  }

  private async find(where: FindOptionsWhere<ApiKey>): Promise<Principal | undefined> {
    const key = await this.findKey(where);
    return key && toPrincipal(key);
  }

  private async findKey(where: FindOptionsWhere<ApiKey>): Promise<ApiKey | undefined> {
    const key = await this.keys.findOne({ where, relations: { user: true } });
    if (!key || key.user.bannedAt !== null || endOf(key) <= Date.now()) return undefined;
    return key;
  }

  /** Keeps the key's own rate limit, and when it was used last. */
  private async countUse({ id, lastUsedAt }: ApiKey): Promise<void> {
    const { RATE_LIMIT_MAX: max, RATE_LIMIT_WINDOW_MS: windowMs } = this.config;
    if (max > 0) {
      const { current, ttl } = await this.counts.count(`key ${id}`, windowMs);
      const seconds = Math.max(1, Math.ceil(ttl / 1000));
      if (current > max) throw new AppError('RATE_LIMITED', 'Too many requests with this key', undefined, seconds);
    }
    const now = Date.now();
    if (now - (lastUsedAt ?? 0) < LAST_USE_MS) return;
    // Of requests that come at the same time, one writes.
    const before = { id, lastUsedAt: lastUsedAt ?? IsNull() };
    await this.unitOfWork.run((tx) => tx.update(ApiKey, before, { lastUsedAt: now }));
  }
}

function toPrincipal(key: ApiKey): Principal {
  const { id: userId, email, role } = key.user;
  return { userId, email, role, sessionId: key.id, expiresAt: endOf(key), scopes: key.scopes };
}

function endOf({ expiresAt }: ApiKey): number {
  return expiresAt ?? Number.MAX_SAFE_INTEGER;
}
