import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { uuid } from '../common/fields.js';
import { eventId as eventIdSchema } from '../events/event.schemas.js';

/** What every secret begins with, and Standard Webhooks libraries strip. */
export const SECRET_PREFIX = 'whsec_';

const plain = z.string().regex(/^sha256=[0-9a-f]{64}$/);

/** The headers of a webhook request, both families of them. */
export const webhookHeaders = z.strictObject({
  'Content-Type': z.literal('application/json'),
  'User-Agent': z.literal('Herald-Webhooks/1'),
  'X-Webhook-Id': uuid.meta({ description: 'The id of the endpoint.' }),
  'X-Webhook-Delivery': uuid.meta({ description: 'The id of the delivery, the same on every retry.' }),
  'X-Webhook-Event': z.string().meta({ description: 'The type of the event.' }),
  'X-Webhook-Signature': plain.meta({
    description: 'HMAC-SHA256 of the body, keyed with the secret as it is written.',
    examples: ['sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8'],
  }),
  'X-Webhook-Signature-Previous': plain
    .exactOptional()
    .meta({ description: 'While the secret rotates: the same with the previous one.' }),
  'webhook-id': eventIdSchema.meta({ description: 'The id of the event, the same on every retry.' }),
  'webhook-timestamp': z
    .string()
    .regex(/^\d+$/)
    .meta({ description: 'Of this attempt, in epoch seconds.', examples: ['1795602246'] }),
  'webhook-signature': z
    .string()
    .regex(/^v1,[A-Za-z0-9+/]+=*( v1,[A-Za-z0-9+/]+=*)*$/)
    .meta({
      description: 'Standard Webhooks 1.0: HMAC-SHA256 of `id.timestamp.body`; while the secret rotates, two of them.',
      examples: ['v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='],
    }),
});

/** One request to sign. */
export interface SignedMessage {
  endpointId: string;
  deliveryId: string;
  eventId: string;
  eventType: string;
  /** The exact bytes of the body, as text. */
  body: string;
  /** Of this attempt, in epoch ms. */
  now: number;
  /** The secret in force first; while it rotates, then the previous one. */
  secrets: readonly [string, ...string[]];
}

/**
 * Builds the headers of a webhook request, both families of them.
 *
 * - Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, keyed with the bytes that the secret's base64 stands
 *   for; one signature for each secret in force.
 * - `X-Webhook-Signature`: HMAC-SHA256 over the body alone, keyed with the secret as it is written, the way GitHub's
 *   `X-Hub-Signature-256` is. While the secret rotates, `X-Webhook-Signature-Previous` is the previous secret's.
 */
export function signedHeaders(message: SignedMessage): z.infer<typeof webhookHeaders> {
  const { endpointId, deliveryId, eventId, eventType, body, now, secrets } = message;
  const timestamp = String(Math.floor(now / 1000));
  const [current, previous] = secrets;
  return {
    'Content-Type': 'application/json',
    'User-Agent': 'Herald-Webhooks/1',
    'X-Webhook-Id': endpointId,
    'X-Webhook-Delivery': deliveryId,
    'X-Webhook-Event': eventType,
    'X-Webhook-Signature': plainSignature(body, current),
    ...(previous !== undefined && { 'X-Webhook-Signature-Previous': plainSignature(body, previous) }),
    'webhook-id': eventId,
    'webhook-timestamp': timestamp,
    'webhook-signature': secrets
      .map((secret) => standardSignature(`${eventId}.${timestamp}.${body}`, secret))
      .join(' '),
  };
}

function plainSignature(body: string, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

function standardSignature(content: string, secret: string): string {
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
  return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
}
