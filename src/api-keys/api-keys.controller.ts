import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { Documented } from '../common/documented.js';
import { epochMs, uuid } from '../common/fields.js';
import { CurrentPrincipal, SCOPES, type Principal } from '../common/principal.js';
import type { ApiKey } from './api-key.entity.js';
import { ApiKeysService } from './api-keys.service.js';

const createBody = z.strictObject({
  name: z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(100, 'is longer than 100 characters')
    .meta({ examples: ['Nightly report'] }),
  scopes: z
    .array(z.enum(SCOPES, { error: `is not one of ${SCOPES.join(', ')}` }))
    .min(1, 'names no scope')
    .meta({ examples: [['events:read']] }),
  expiresInDays: z
    .int()
    .min(1)
    .max(3650)
    .optional()
    .meta({ description: 'Without it, the key does not expire.', examples: [90] }),
});

/** A key as its owner sees it. */
const keyView = z
  .strictObject({
    id: uuid,
    name: createBody.shape.name,
    prefix: z.string().meta({ description: 'The first characters of the key.', examples: ['oapi_Xk3v9Q'] }),
    scopes: createBody.shape.scopes,
    expiresAt: epochMs.nullable(),
    lastUsedAt: epochMs
      .nullable()
      .meta({ description: 'To the minute; null while it was not used.', examples: [null] }),
    createdAt: epochMs,
  })
  .meta({ id: 'ApiKey' });
type KeyView = z.infer<typeof keyView>;
const createAnswer = z.strictObject({
  key: keyView,
  rawKey: z.string().meta({
    description: 'The key itself, shown this once.',
    examples: ['oapi_Xk3v9QmT2sLw8Yb5NcR7Zd1FhJ4Ga6Pe0Ku3Ox9VtBi'],
  }),
});
const listAnswer = z.strictObject({ keys: z.array(keyView) });

/** The caller's own API keys. A key cannot manage keys. */
@Controller('api-keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  /** The only answer that holds the key. */
  @Post()
  @Documented({
    summary: 'Make an API key',
    answer: createAnswer,
    errors: { CONFLICT: 'The account has as many keys as it may.' },
  })
  async create(
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: createBody }) body: z.infer<typeof createBody>,
  ): Promise<z.infer<typeof createAnswer>> {
    const { key, rawKey } = await this.keys.create(userId, body);
    return { key: toView(key), rawKey };
  }

  @Get()
  @Documented({ summary: 'List the own API keys', answer: listAnswer })
  async list(@CurrentPrincipal() { userId }: Principal): Promise<z.infer<typeof listAnswer>> {
    return { keys: (await this.keys.list(userId)).map(toView) };
  }

  @Delete(':id')
  @HttpCode(204)
  @Documented({ summary: 'Revoke an API key', params: { id: uuid } })
  async revoke(@CurrentPrincipal() { userId }: Principal, @Param('id') id: string): Promise<void> {
    await this.keys.revoke(userId, id);
  }
}

function toView({ id, name, prefix, scopes, expiresAt, lastUsedAt, createdAt }: ApiKey): KeyView {
  return { id, name, prefix, scopes, expiresAt, lastUsedAt, createdAt };
}
