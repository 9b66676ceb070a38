import { createHmac } from 'node:crypto';

/** What every secret begins with, and Standard Webhooks libraries strip. */
export const SECRET_PREFIX = 'whsec_';

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
export function signedHeaders(message: SignedMessage): Record<string, string> {
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
