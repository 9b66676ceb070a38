import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { TestServer } from '../support/server.js';

describe('the probes', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.close());

  const probe = async (path: string) => {
    const response = await fetch(`${server.url}${path}`);
    return { status: response.status, body: await response.json() };
  };

  it('answer without a token, outside of the prefix', async () => {
    expect(await probe('/health')).toMatchObject({ status: 200, body: { data: { status: 'ok' } } });
    expect(await probe('/readiness')).toEqual({
      status: 200,
      body: { data: { status: 'ready', relay: { lagEvents: 0 }, reconciliation: null } },
    });
    expect((await probe('/api/v1/health')).status).toBe(404);
  });

  it('tell alive from ready: a writer that is stuck is not ready, and ready again once it is free', async () => {
    let release = (): void => undefined;
    const stuck = server.app.get(UnitOfWork).run(() => new Promise<void>((resolve) => (release = resolve)));
    expect(await probe('/readiness')).toMatchObject({
      status: 503,
      body: { error: { code: 'SERVICE_UNAVAILABLE', details: [{ code: 'NOT_READY' }] } },
    });
    expect((await probe('/health')).status).toBe(200);
    release();
    await stuck;
    expect((await probe('/readiness')).status).toBe(200);
  });
});
