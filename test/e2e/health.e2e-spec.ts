import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Config } from '../../src/config/config.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import { onPostgres } from '../support/database.js';
import { TestServer } from '../support/server.js';

describe('the probes', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.close());
  afterEach(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });

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
    const held = new Promise<void>((resolve) => (release = resolve));
    // On PostgreSQL every connection of the pool.
    const count = onPostgres ? server.app.get(Config).DATABASE_POOL_SIZE : 1;
    const stuck = Array.from({ length: count }, () => server.app.get(UnitOfWork).run(() => held));
    expect(await probe('/readiness')).toMatchObject({
      status: 503,
      body: { error: { code: 'SERVICE_UNAVAILABLE', details: [{ code: 'NOT_READY' }] } },
    });
    expect((await probe('/health')).status).toBe(200);
    release();
    await Promise.all(stuck);
    expect((await probe('/readiness')).status).toBe(200);
  });

  // The disk of a server is for its own monitoring.
  it.skipIf(onPostgres)(
    '(of SQLite) is not ready on a disk that is full or cannot be written to, and names the check',
    async () => {
      const stats = await fs.statfs('.');
      vi.spyOn(fs, 'statfs').mockResolvedValueOnce(Object.assign(stats, { bavail: 100, bsize: 4096 }));
      syncBuiltinESMExports();
      expect(await probe('/readiness')).toMatchObject({
        status: 503,
        body: { error: { message: 'The check "disk" failed' } },
      });
      vi.spyOn(fs, 'access').mockRejectedValueOnce(Object.assign(new Error('read-only'), { code: 'EROFS' }));
      syncBuiltinESMExports();
      expect((await probe('/readiness')).status).toBe(503);
      expect((await probe('/readiness')).status).toBe(200);
    },
  );

  it('is not ready while events are not delivered to live clients, and ready again once they are', async () => {
    const deliver = vi.spyOn(server.app.get(EventBus), 'deliver').mockImplementation(() => {
      throw new Error('planted');
    });
    await server.api.post('/auth/login', { email: 'nobody@example.com', password: 'Wrong-password-1' });
    // Behind, but for a moment only.
    expect(await probe('/readiness')).toMatchObject({ status: 200, body: { data: { relay: { lagEvents: 1 } } } });
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 11_000);
    expect(await probe('/readiness')).toMatchObject({
      status: 503,
      body: { error: { message: 'The check "live delivery" failed' } },
    });
    clock.mockRestore();
    deliver.mockRestore();
    await expect
      .poll(() => probe('/readiness'), { timeout: 5000 })
      .toMatchObject({ body: { data: { relay: { lagEvents: 0 } } } });
  });
});
