import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isDatabaseAway } from '../../src/common/database-away.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import { ADMIN, TestServer } from '../support/server.js';
import { TcpProxy } from '../support/tcp-proxy.js';

let one: TestServer;
let proxy: TcpProxy;
let behind: TestServer;
beforeAll(async () => {
  one = await TestServer.start();
  await one.api.login(ADMIN);
  const url = new URL(one.databaseUrl);
  proxy = await TcpProxy.start(url.href);
  url.port = new URL(proxy.url).port;
  url.hostname = '127.0.0.1';
  behind = await one.startAnother({ DATABASE_URL: url.href });
});
afterAll(async () => {
  await behind.close();
  await proxy.close();
  await one.close();
});

const publish = (server: TestServer, email: string) =>
  server.app.get(EventBus).publish('login.failed', { email: `${email}@example.com` });

describe('an instance that stops in the middle of a unit of work', () => {
  it('keeps the journal from the others for seconds only, and what it had not committed is not there', async () => {
    const units = behind.app.get(UnitOfWork);
    let holds: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (holds = resolve));
    const paused = units
      .run(async () => {
        await publish(behind, 'paused');
        // It has the lock of the journal by then.
        units.beforeCommit(async () => {
          holds();
          await pause(8000);
        });
      })
      .catch((error: unknown) => error);
    await held;
    const since = performance.now();
    await publish(one, 'other');
    expect(performance.now() - since).toBeLessThan(6000);
    expect(isDatabaseAway(await paused)).toBe(true);
  }, 30_000);
});

describe('a commit whose answer is lost', () => {
  it('ends the connections of the session on this very instance all the same', async () => {
    const user = await behind.api.register();
    const socket = await behind.subscriber(user.accessToken);
    type Pair = { client: { destroy(): void }; service: { write(chunk: Buffer): void; destroy(): void; pause(): void } };
    const inner = proxy as unknown as { pass: (pair: Pair, to: unknown, chunk: Buffer) => void };
    const pass = inner.pass.bind(proxy);
    let isLost = false;
    inner.pass = (pair, to, chunk) => {
      if (isLost || to !== pair.service || !/logout.*; COMMIT/s.test(chunk.toString('latin1'))) return pass(pair, to, chunk);
      isLost = true;
      pair.service.write(chunk);
      pair.service.pause();
      setTimeout(() => [pair.client, pair.service].forEach((end) => end.destroy()), 200);
    };
    const { status } = await behind.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    expect([isLost, status]).toEqual([true, 503]);
    expect((await one.api.get('/users/me', user.accessToken)).status).toBe(401);
    expect((await socket.closed).code).toBe(4403);
  });
});

describe('a database that answers nothing', () => {
  it('keeps a unit of work waiting for a connection once, and not for another one that nobody answers either', async () => {
    proxy.conduct = { swallows: true };
    proxy.cut('application_name\0herald\0');
    // Those that are broken are out of the pool.
    await pause(500);
    const since = performance.now();
    const error = await behind.app.get(UnitOfWork).run((tx) => tx.query('SELECT 1')).catch((cause: unknown) => cause);
    const ms = performance.now() - since;
    proxy.conduct = {};
    proxy.cut();
    expect(isDatabaseAway(error)).toBe(true);
    expect(ms).toBeLessThan(15_000);
  }, 60_000);
});
