import { z } from 'zod';
import { count, epochMs, uuid } from '../common/fields.js';
import { pageOf, pageQuery } from '../common/pagination.js';
import { eventId, timestamp } from '../events/event.schemas.js';
import { DELIVERY_STATUSES } from './webhook-delivery.entity.js';
import { SECRET_PREFIX } from './signature.js';

const url = z
  .url({ protocol: /^https?$/, error: 'is not an http or https URL' })
  .max(2048, 'is longer than 2048 characters')
  .refine((text) => {
    if (!URL.canParse(text)) return true;
    const { username, password } = new URL(text);
    return username === '' && password === '';
  }, 'carries a name or password: verify the signature instead')
  .meta({ examples: ['https://hooks.example.com/herald'] });

const events = z
  .array(z.string())
  .min(1, 'names no event')
  .meta({ description: 'Types of events; `prefix.*` or `*` for several.', examples: [['user.*', 'login.failed']] });
const description = z
  .string()
  .max(500, 'is longer than 500 characters')
  .meta({ examples: ['Our billing'] });

/** A secret of the caller's own: 24 to 64 bytes, as Standard Webhooks 1.0 demands. */
const secret = z
  .string()
  .refine((text) => {
    if (!/^whsec_(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return false;
    const { length } = Buffer.from(text.slice(SECRET_PREFIX.length), 'base64');
    return length >= 24 && length <= 64;
  }, 'is not whsec_ and 24 to 64 bytes of base64')
  .meta({
    description: '`whsec_` and 24 to 64 bytes of base64.',
    examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw2cDKgkwIzpQ='],
  });

/** The largest overlap of two secrets: a week. */
const MAX_OVERLAP_HOURS = 168;

export const createBody = z.strictObject({
  url,
  events,
  secret: secret.optional().meta({ description: '`whsec_` and 24 to 64 bytes of base64. Made without it.' }),
  description: description.optional(),
});
export const changeBody = z.strictObject({
  url: url.optional(),
  events: events.optional(),
  description: description.nullable().optional(),
  enabled: z
    .boolean()
    .optional()
    .meta({ examples: [true] }),
});
export const rotateBody = z
  .strictObject({
    secret: secret.optional(),
    overlapHours: z
      .number()
      .min(0)
      .max(MAX_OVERLAP_HOURS)
      .default(24)
      .meta({ description: 'How long the previous secret signs as well.', examples: [24] }),
  })
  .default({ overlapHours: 24 });
export const replayBody = z
  .strictObject({
    after: z
      .string()
      .optional()
      .meta({
        description: 'The id of an event: what happened after it. Everything without it.',
        examples: ['evt-01a20d15-9125-730d-a06d-4c865def98b5'],
      }),
  })
  .default({});
export const listQuery = z.strictObject(pageQuery);
const deliveryStatus = z
  .enum(DELIVERY_STATUSES)
  .meta({ id: 'DeliveryStatus', description: '`dead` waits for a person.' });
export const deliveriesQuery = z.strictObject({
  status: deliveryStatus.optional().meta({ examples: ['dead'] }),
  ...pageQuery,
});

const overlap = epochMs
  .nullable()
  .meta({ description: 'Until when the previous secret signs as well.', examples: [null] });

/** An endpoint as admins see it. */
export const endpointView = z
  .strictObject({
    id: uuid,
    url: z.string().meta({ examples: ['https://hooks.example.com/herald'] }),
    events,
    description: description.nullable(),
    status: z.enum(['enabled', 'disabled']),
    disabledAt: epochMs.nullable().meta({ examples: [null] }),
    disabledReason: z
      .string()
      .nullable()
      .meta({ examples: [null] }),
    failingSince: epochMs.nullable().meta({
      description: 'When the unbroken row of failures began; null after a success.',
      examples: [null],
    }),
    previousSecretUntil: overlap,
    createdAt: epochMs,
    updatedAt: epochMs,
  })
  .meta({ id: 'WebhookEndpoint' });
export const newEndpointView = endpointView.extend({
  secret: secret.meta({ description: 'Shown this once.' }),
});
export const endpointPage = pageOf(endpointView);
export const rotation = z.strictObject({ secret, previousSecretUntil: epochMs });

/** A delivery as admins see it. */
export const deliveryView = z
  .strictObject({
    id: uuid,
    endpointId: uuid,
    eventId,
    eventType: z.string().meta({ examples: ['user.registered'] }),
    status: deliveryStatus,
    nextAttemptAt: epochMs.nullable().meta({ description: 'Null once it has ended.' }),
    createdAt: epochMs,
    finishedAt: epochMs.nullable().meta({ examples: [null] }),
  })
  .meta({ id: 'WebhookDelivery' });

/** One request that was made, or could not be. */
export const attemptView = z
  .strictObject({
    number: z
      .int()
      .min(1)
      .meta({ examples: [1] }),
    at: epochMs,
    durationMs: count,
    status: z
      .int()
      .nullable()
      .meta({ description: 'The HTTP status; null when no answer came.', examples: [503] }),
    response: z
      .string()
      .nullable()
      .meta({ description: 'The first KB of the answer.', examples: ['busy'] }),
    error: z
      .string()
      .nullable()
      .meta({ examples: ['The receiver answered 503'] }),
  })
  .meta({ id: 'WebhookAttempt' });
const loggedDelivery = deliveryView.extend({ attempts: z.array(attemptView) });
export const deliveryPage = pageOf(loggedDelivery);
export const deliveryWithBody = loggedDelivery.extend({
  body: z
    .string()
    .meta({ description: 'What is sent.', examples: ['{"id":"evt-01a20d15-9125-730d-a06d-4c865def98b5"}'] }),
});
/** What a test sends. */
export const testMessage = z
  .strictObject({
    id: eventId,
    type: z.literal('webhook.test'),
    timestamp,
    payload: z.strictObject({ endpointId: uuid }),
  })
  .meta({ id: 'Event.webhook.test', description: 'A test, which an admin asked for.' });

export const replayAnswer = z.strictObject({
  complete: z
    .boolean()
    .meta({ description: 'False where events after `after` are older than the log’s retention.', examples: [true] }),
});
