import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { signedHeaders } from './signature.js';

const CURRENT = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const PREVIOUS = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
const message = {
  endpointId: 'endpoint',
  deliveryId: 'delivery',
  eventId: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  eventType: 'logout',
  body: '{"test": 2432232314}',
  now: 1_614_265_330_999,
};

describe('signedHeaders', () => {
  it('agrees with the example of the Standard Webhooks specification', () => {
    const headers = signedHeaders({ ...message, secrets: [CURRENT] });
    expect(headers).toMatchObject({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it.each([CURRENT, PREVIOUS])('verifies with public libraries under %s while the secret rotates', (secret) => {
    const headers = signedHeaders({ ...message, now: Date.now(), secrets: [CURRENT, PREVIOUS] });
    expect(new Webhook(secret).verify(message.body, headers)).toEqual({ test: 2432232314 });
    const plain = `sha256=${createHmac('sha256', secret).update(message.body).digest('hex')}`;
    expect([headers['X-Webhook-Signature'], headers['X-Webhook-Signature-Previous']]).toContain(plain);
  });

  it('does not verify under another secret, and names no previous one when there is none', () => {
    const headers = signedHeaders({ ...message, now: Date.now(), secrets: [CURRENT] });
    expect(() => new Webhook(PREVIOUS).verify(message.body, headers)).toThrow(/No matching signature/);
    expect(headers).not.toHaveProperty('X-Webhook-Signature-Previous');
  });
});
