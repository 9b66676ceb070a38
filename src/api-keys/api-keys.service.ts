import { randomUUID } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { LessThan, type FindOptionsWhere, type Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import type { Principal, Scope } from '../common/principal.js';
import { sha256 } from '../common/sha256.js';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
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
  /** How often each key was used in the window that began then. */
  private readonly uses = new Map<string, { since: number; count: number }>();

  constructor(
    @InjectRepository(ApiKey) private readonly keys: Repository<ApiKey>,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly sessions: SessionsService,
    private readonly users: UsersService,
    private readonly lookup: ApiKeyLookup,
    private readonly housekeeping: Housekeeping,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.lookup.use({ byKey: (rawKey) => this.findByKey(rawKey), byId: (id) => this.find({ id }) });
    this.housekeeping.register('api keys', async () => {
      this.uses.clear();
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
    const principal = await this.find({ hash: sha256(rawKey) });
    if (principal) await this.countUse(principal.sessionId);
    return principal;
  }

  private async find(where: FindOptionsWhere<ApiKey>): Promise<Principal | undefined> {
    const key = await this.keys.findOne({ where, relations: { user: true } });
    const expiresAt = key?.expiresAt ?? Number.MAX_SAFE_INTEGER;
    if (!key || key.user.bannedAt !== null || expiresAt <= Date.now()) return undefined;
    const { id: userId, email, role } = key.user;
    return { userId, email, role, sessionId: key.id, expiresAt, scopes: key.scopes };
  }

  /** Keeps the key's own rate limit, and when it was used last. */
  private async countUse(id: string): Promise<void> {
    const { RATE_LIMIT_MAX: max, RATE_LIMIT_WINDOW_MS: window } = this.config;
    const now = Date.now();
    let use = this.uses.get(id);
    const isFirst = use === undefined || now - use.since >= Math.max(window, LAST_USE_MS);
    if (!use || now - use.since >= window) {
      use = { since: now, count: 0 };
      this.uses.set(id, use);
    }
    use.count += 1;
    if (max > 0 && use.count > max) {
      const seconds = Math.max(1, Math.ceil((use.since + window - now) / 1000));
      throw new AppError('RATE_LIMITED', 'Too many requests with this key', undefined, seconds);
    }
    if (isFirst) await this.unitOfWork.run((tx) => tx.update(ApiKey, { id }, { lastUsedAt: now }));
  }
}
