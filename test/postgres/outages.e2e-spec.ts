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
  proxy = await TcpProxy.start(one.databaseUrl);
  behind = await one.startAnother({ DATABASE_URL: proxy.through(one.databaseUrl) });
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
    proxy.losesAnswerTo = /logout.*; COMMIT/s;
    const { status } = await behind.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    expect([proxy.losesAnswerTo, status]).toEqual([undefined, 503]);
    expect((await one.api.get('/users/me', user.accessToken)).status).toBe(401);
    expect((await socket.closed).code).toBe(4403);
  });
});

describe('a database that answers nothing', () => {
  it('keeps nobody waiting for a connection twice, and lets everything go on afterwards', async () => {
    const { accessToken } = await behind.api.register();
    proxy.conduct = { swallows: true };
    proxy.silence();
    const since = performance.now();
    const answers = await Promise.all([
      behind.api.get('/users/me', accessToken),
      behind.api.post('/auth/logout', {}, accessToken),
      behind.app
        .get(UnitOfWork)
        .run((tx) => tx.query('SELECT 1'))
        .catch((error: unknown) => error),
    ]);
    // Half-open ones are noticed within seconds, and another one may take ten.
    expect(performance.now() - since).toBeLessThan(25_000);
    expect(answers[0]).toMatchObject({ status: 503 });
    expect(isDatabaseAway(answers[2])).toBe(true);
    proxy.conduct = {};
    proxy.cut();
    await expect
      .poll(async () => (await behind.api.get('/users/me', accessToken)).status, { timeout: 15_000 })
      .toBe(200);
  }, 60_000);
});
