import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';

const ORIGIN = 'https://app.example.com';

describe('GET /client.js', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({ CORS_ORIGINS: ORIGIN, RATE_LIMIT_MAX: '1' });
  });
  afterAll(() => server.close());
  const read = (headers: Record<string, string> = {}) => fetch(`${server.url}/client.js`, { headers });

  it('is one module that imports nothing, below 7 KB compressed', async () => {
    const response = await read();
    const text = await response.text();
    expect(response.status).toBe(200);
    expect(text).toMatch(/export\s*\{[^}]*HeraldClient/);
    expect(text).not.toMatch(/\bimport\b|\brequire\b|zod/);
    expect(gzipSync(text).length).toBeLessThan(7000);
  });

  it('is public, kept and asked for again, and never limited', async () => {
    const first = await read({ Origin: ORIGIN });
    const etag = first.headers.get('etag') ?? '';
    expect(Object.fromEntries(first.headers)).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'access-control-allow-origin': ORIGIN,
    });
    const again = await read({ 'If-None-Match': `W/"other", ${etag}` });
    expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
    expect((await read({ 'If-None-Match': '"other"' })).status).toBe(200);
  });

  it('may be used by pages of the origins that are let in: their requests with a cursor too', async () => {
    const preflight = await fetch(`${server.url}/api/v1/events/stream`, {
      method: 'OPTIONS',
      headers: {
        Origin: ORIGIN,
        'Access-Control-Request-Method': 'GET',
        'Access-Control-Request-Headers': 'authorization,last-event-id,x-api-key',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toBe('authorization,last-event-id,x-api-key');
    const refused = await fetch(`${server.url}/api/v1/events/stream`, { headers: { Origin: ORIGIN } });
    expect(refused.headers.get('access-control-expose-headers')).toBe('X-Request-Id, Retry-After');
  });
});
