import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { CurrentPrincipal, SCOPES, type Principal } from '../common/principal.js';
import type { ApiKey } from './api-key.entity.js';
import { ApiKeysService } from './api-keys.service.js';

const createBody = z.strictObject({
  name: z.string().trim().min(1, 'must not be empty').max(100, 'is longer than 100 characters'),
  scopes: z.array(z.enum(SCOPES, { error: `is not one of ${SCOPES.join(', ')}` })).min(1, 'names no scope'),
  expiresInDays: z.number().int().min(1).max(3650).optional(),
});

/** A key as its owner sees it; times in epoch ms. */
type KeyView = Pick<ApiKey, 'id' | 'name' | 'prefix' | 'scopes' | 'expiresAt' | 'lastUsedAt' | 'createdAt'>;

/** The caller's own API keys. A key cannot manage keys. */
@Controller('api-keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  /** The only answer that holds the key. */
  @Post()
  async create(
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: createBody }) body: z.infer<typeof createBody>,
  ): Promise<{ key: KeyView; rawKey: string }> {
    const { key, rawKey } = await this.keys.create(userId, body);
    return { key: toView(key), rawKey };
  }

  @Get()
  async list(@CurrentPrincipal() { userId }: Principal): Promise<{ keys: KeyView[] }> {
    return { keys: (await this.keys.list(userId)).map(toView) };
  }

  @Delete(':id')
  @HttpCode(204)
  async revoke(@CurrentPrincipal() { userId }: Principal, @Param('id') id: string): Promise<void> {
    await this.keys.revoke(userId, id);
  }
}

function toView({ id, name, prefix, scopes, expiresAt, lastUsedAt, createdAt }: ApiKey): KeyView {
  return { id, name, prefix, scopes, expiresAt, lastUsedAt, createdAt };
}
