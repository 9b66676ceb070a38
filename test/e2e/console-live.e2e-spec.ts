import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventRelay } from '../../src/events/event-relay.service.js';
import { startChromium } from '../support/chromium.js';
import { ConsoleBrowser } from '../support/console.js';
import { TestServer } from '../support/server.js';

const EVENTS = 5000;
const BATCH = 100;
/** The page is never still for longer than this, in ms, on a machine that runs the server and other tests as well. */
const LONGEST_STILL_MS = 1000;

let browser: Browser;
let server: TestServer;
let view: ConsoleBrowser;

/** Notes the longest time between two frames, from now on. */
const WATCH_FRAMES = `{
  window.longestMs = 0;
  let last = performance.now();
  const next = (now) => {
    window.longestMs = Math.max(window.longestMs, now - last);
    last = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}`;

async function publish(app: TestServer['app'], emails: readonly string[]): Promise<void> {
  await app.get(UnitOfWork).run(async () => {
    for (const email of emails) await app.get(EventBus).publish('login.failed', { email });
  });
}

/** The addresses of the events in sight, the newest first. */
const shown = (): Promise<string[]> => view.page.locator('.event-payload').allTextContents();

describe('the console, live', () => {
  beforeAll(async () => {
    browser = await startChromium();
    server = await TestServer.start();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  beforeEach(async () => {
    view = await ConsoleBrowser.open(browser, server);
    await view.logIn();
  });
  afterEach(async () => {
    expect(view.complaints).toEqual({ external: [], errors: [] });
    await view.close();
  });

  it('says when the service is away, and shows what it missed once it is back, without gap or repeat', async () => {
    await view.go('/events?type=login.failed');
    await view.live();
    await publish(server.app, ['before@example.com']);
    await view.page.getByText('before@example.com').waitFor();
    await server.app.close();
    await view.page.getByText('What you see may be old').waitFor();
    expect(await shown()).toEqual(['before@example.com']);
    await server.restartAfter((app) => publish(app, ['away-1@example.com', 'away-2@example.com']));
    await view.live();
    await view.page.getByText('What you see may be old').waitFor({ state: 'detached' });
    await publish(server.app, ['after@example.com']);
    await view.page.getByText('after@example.com').waitFor();
    expect(await shown()).toEqual([
      'after@example.com',
      'away-2@example.com',
      'away-1@example.com',
      'before@example.com',
    ]);
  }, 40_000);

  it('shows 5,000 events that come in less than a minute, and never freezes', async () => {
    await view.go('/events?type=login.failed');
    await view.live();
    await view.page.evaluate(WATCH_FRAMES);
    const before = Date.now();
    for (let n = 0; n < EVENTS; n += BATCH) {
      await publish(
        server.app,
        Array.from({ length: BATCH }, (_, at) => `crowd-${n + at}@example.com`),
      );
    }
    await server.app.get(EventRelay).caughtUp();
    await view.page.getByText(`crowd-${EVENTS - 1}@example.com`).waitFor();
    expect(Date.now() - before).toBeLessThan(60_000);
    const list = view.page.locator('.virtual-row').first();
    expect(Number(await list.getAttribute('aria-setsize'))).toBeGreaterThanOrEqual(EVENTS);
    // Only what is in sight exists.
    expect(await view.page.locator('.virtual-row').count()).toBeLessThan(60);
    const longestMs = await view.page.evaluate<number>('window.longestMs');
    expect(longestMs).toBeGreaterThan(0);
    expect(longestMs).toBeLessThan(LONGEST_STILL_MS);
    await view.page.locator('.virtual').evaluate((box) => (box.scrollTop = box.scrollHeight / 2));
    await view.page
      .getByText(/crowd-2[45]\d\d@example\.com/)
      .first()
      .waitFor();
    // Whoever reads further down is not moved by what comes above.
    const [middle = ''] = await view.page.locator('.event-payload:visible').allTextContents();
    await publish(server.app, ['latest@example.com']);
    await server.app.get(EventRelay).caughtUp();
    await view.page.getByText(middle, { exact: true }).waitFor();
  }, 90_000);

  it('goes on in a second tab, each with a token of its own', async () => {
    const other = await view.context.newPage();
    await Promise.all([other.goto(`${server.url}/console`), view.page.reload()]);
    await view.live();
    await other.locator('[data-state=live]:visible').first().waitFor();
    await other.close();
  });
});
