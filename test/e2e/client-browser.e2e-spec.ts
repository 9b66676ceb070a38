import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/built-server.js';
import { AppServer, type ClientPage, type PageOptions } from '../support/client-page.js';
import { startChromium } from '../support/chromium.js';
import { FollowedClient, numbers, publishFailures } from '../support/followed-client.js';
import { ADMIN, TestServer } from '../support/server.js';

/** Counts how often the tabs have had their token replaced. */
function countRefreshes(context: BrowserContext): () => number {
  let count = 0;
  context.on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith('/auth/refresh')) count += 1;
  });
  return () => count;
}

/** Real pages of another origin, in Debian's Chromium, with the client that the service serves them. */
describe.each(['websocket', 'sse'] as const)('the client in a browser, over %s', (transport) => {
  const herald = { url: '' };
  let browser: Browser;
  let app: AppServer;
  let server: TestServer;
  let tab: ClientPage;
  beforeAll(async () => {
    browser = await startChromium();
    app = await AppServer.start(herald);
    server = await TestServer.start({ CORS_ORIGINS: app.origin, SSE_HEARTBEAT_MS: '300', JWT_EXPIRES_IN: '6s' });
    herald.url = server.url;
  }, 60_000);
  beforeEach(async () => {
    tab = await app.open(await browser.newContext());
  });
  afterEach(async () => {
    expect(tab.uncaught).toEqual([]);
    await tab.page.context().close();
    await FollowedClient.closeAll();
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
    await app.close();
  });

  const live = async (options: Partial<PageOptions> = {}) =>
    tab.live({ url: server.url, transport, auth: await server.api.login(ADMIN), ...options });

  it('misses and repeats nothing through a restart', async () => {
    await live();
    await publishFailures(server, 1, 2);
    await tab.told(2);
    await server.app.close();
    await server.restartAfter((stopped) => publishFailures({ app: stopped }, 3, 300));
    await publishFailures(server, 301, 302);
    await tab.told(302);
    expect(await tab.failures()).toEqual(numbers(1, 302));
    expect(await tab.log()).toMatchObject({ gaps: [], errors: [] });
  });

  it('replaces its token in time, and nobody notices', async () => {
    await live();
    const refreshed = countRefreshes(tab.page.context());
    let n = 0;
    for (; refreshed() < 2; n += 1) {
      await publishFailures(server, n + 1, n + 1);
      await tab.told(n + 1);
    }
    await publishFailures(server, n + 1, n + 1);
    await tab.told(n + 1);
    expect(await tab.failures()).toEqual(numbers(1, n + 1));
    const { states } = await tab.log();
    expect(states.map(({ status }) => status)).toEqual(['connecting', 'live']);
  });

  it('stops when its session is revoked, after the event that tells why', async () => {
    const user = await server.api.register();
    await live({ auth: user, events: ['*'] });
    await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    expect(await tab.status('stopped')).toMatchObject({ reason: 'revoked' });
    const { events } = await tab.log();
    expect(events.map(({ type }) => type)).toEqual(['logout']);
  });

  it('is back soon after the laptop has slept for two hours and its connection has died', async () => {
    const via = await FollowedClient.proxy(server);
    await tab.page.clock.install();
    await live({ url: via.url, timeoutMs: 2000 });
    await publishFailures(server, 1, 1);
    await tab.told(1);
    via.silence();
    await publishFailures(server, 2, 3);
    await tab.page.clock.fastForward('02:00:00');
    await tab.told(3);
    expect(await tab.failures()).toEqual(['1', '2', '3']);
    await tab.status('live');
  });

  it('is back after its tab was frozen', async () => {
    const via = await FollowedClient.proxy(server);
    await live({ url: via.url, heartbeatMs: 1000, timeoutMs: 2000 });
    await tab.freeze(true);
    via.cut();
    await publishFailures(server, 1, 3);
    await tab.freeze(false);
    await tab.told(3);
    expect(await tab.failures()).toEqual(['1', '2', '3']);
  });

  it('waits while there is no network, and is back with it', async () => {
    const via = await FollowedClient.proxy(server);
    await live({ url: via.url, backoff: { baseMs: 600_000 } });
    await tab.page.context().setOffline(true);
    via.cut();
    expect(await tab.status('waiting')).toMatchObject({ reason: 'network' });
    await publishFailures(server, 1, 3);
    await tab.page.context().setOffline(false);
    // Not after the minutes that the backoff would have it wait.
    await tab.told(3);
    expect(await tab.failures()).toEqual(['1', '2', '3']);
  });

  it('misses nothing behind a proxy that cuts idle connections and is late', async () => {
    const via = await FollowedClient.proxy(server);
    via.conduct = { idleMs: 200, delayMs: 20 };
    await live({ url: via.url });
    for (let n = 1; n <= 3; n += 1) {
      const before = via.count;
      await expect.poll(() => via.count, { timeout: 15_000 }).toBeGreaterThan(before);
      await publishFailures(server, n * 10 - 9, n * 10);
    }
    await tab.told(30);
    expect(await tab.failures()).toEqual(numbers(1, 30));
  });

  it('shares its tokens with another tab: one of them replaces them for both', async () => {
    const context = tab.page.context();
    const tabs = [tab, await app.open(context)];
    const refreshed = countRefreshes(context);
    await tab.load();
    await tab.page.evaluate(`localStorage.setItem('tokens', '${JSON.stringify(await server.api.login(ADMIN))}')`);
    for (const one of tabs) await one.live({ url: server.url, transport, isShared: true });
    await expect.poll(refreshed, { timeout: 15_000 }).toBe(2);
    await publishFailures(server, 1, 3);
    for (const one of tabs) {
      await one.told(3);
      expect(await one.failures()).toEqual(['1', '2', '3']);
      expect((await one.log()).states.map(({ status }) => status)).toEqual(['connecting', 'live']);
    }
    expect(refreshed()).toBe(2);
  });
});

describe('the page', () => {
  const folder = temporaryFolder();
  let browser: Browser;
  let server: TestServer;
  beforeAll(async () => {
    browser = await startChromium();
    server = await TestServer.start();
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await server.close();
    folder.remove();
  });

  it.each(['README.md', 'docs/client.md'])('of %s works as it is', async (file) => {
    const [, html = ''] = /```html\n([^]*?)```/.exec(readFileSync(file, 'utf8')) ?? [];
    const path = join(folder.path, 'events.html');
    writeFileSync(path, html.replaceAll('http://localhost:3000', server.url));
    const { email, accessToken, refreshToken } = await server.api.register();
    const page = await browser.newPage();
    const tokens = JSON.stringify({ accessToken, refreshToken });
    await page.addInitScript(`localStorage.setItem('tokens', '${tokens}')`);
    page.on('dialog', (dialog) => void dialog.accept(accessToken));
    await page.goto(`file://${path}`);
    await expect.poll(() => page.title()).toBe('live');
    await server.api.post('/auth/login', { email, password: 'x' });
    await expect.poll(() => page.textContent('body')).toMatch(new RegExp(`^\\s*evt-\\S+ ${email} $`));
    await page.close();
  });
});
