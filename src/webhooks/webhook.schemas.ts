import { z } from 'zod';
import { DELIVERY_STATUSES } from './webhook-delivery.entity.js';
import { SECRET_PREFIX } from './signature.js';

const url = z
  .url({ protocol: /^https?$/, error: 'is not an http or https URL' })
  .max(2048, 'is longer than 2048 characters')
  .refine((text) => {
    if (!URL.canParse(text)) return true;
    const { username, password } = new URL(text);
    return username === '' && password === '';
  }, 'carries a name or password: verify the signature instead');

const events = z.array(z.string()).min(1, 'names no event');
const description = z.string().max(500, 'is longer than 500 characters');

/** A secret of the caller's own: 24 to 64 bytes, as Standard Webhooks 1.0 demands. */
const secret = z.string().refine((text) => {
  if (!/^whsec_(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return false;
  const { length } = Buffer.from(text.slice(SECRET_PREFIX.length), 'base64');
  return length >= 24 && length <= 64;
}, 'is not whsec_ and 24 to 64 bytes of base64');

/** The largest overlap of two secrets: a week. */
const MAX_OVERLAP_HOURS = 168;

const limit = z.coerce.number().int().min(1).max(200).default(50);

export const createBody = z.strictObject({
  url,
  events,
  secret: secret.optional(),
  description: description.optional(),
});
export const changeBody = z.strictObject({
  url: url.optional(),
  events: events.optional(),
  description: description.nullable().optional(),
  enabled: z.boolean().optional(),
});
export const rotateBody = z
  .strictObject({
    secret: secret.optional(),
    overlapHours: z.number().min(0).max(MAX_OVERLAP_HOURS).default(24),
  })
  .default({ overlapHours: 24 });
export const replayBody = z.strictObject({ after: z.string().optional() }).default({});
export const listQuery = z.strictObject({ after: z.string().optional(), limit });
export const deliveriesQuery = z.strictObject({
  status: z.enum(DELIVERY_STATUSES).optional(),
  after: z.string().optional(),
  limit,
});
