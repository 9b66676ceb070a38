import { mkdirSync } from 'node:fs';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChromium } from '../support/chromium.js';
import { ConsoleBrowser } from '../support/console.js';
import { liveAnHour, type Life } from '../support/console-life.js';
import { Receiver } from '../support/receiver.js';
import type { TestServer } from '../support/server.js';

/** Pictures of every page, for people to look at: `npm run screenshots`. */
const FOLDER = process.env['SHOTS'] ?? 'data/screenshots';

const LOOKS: Record<string, BrowserContextOptions> = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 } },
};

let browser: Browser;
let server: TestServer;
let receiver: Receiver;
let life: Life;

/** Every page, and how it is reached. */
const pages = (): Record<string, string> => ({
  overview: '',
  events: '/events',
  trace: '/events?event=first',
  jobs: '/jobs?status=dead',
  job: '/jobs?status=dead&job=first',
  webhooks: '/webhooks',
  'webhook-new': '/webhooks?new=1',
  webhook: `/webhooks/${life.endpointId}`,
  delivery: `/webhooks/${life.failingId}?delivery=first`,
  connections: '/connections',
  users: '/users',
  user: `/users/${life.users[4]?.id}`,
  audit: '/audit',
  settings: '/settings',
});

describe('screenshots', () => {
  beforeAll(async () => {
    mkdirSync(FOLDER, { recursive: true });
    receiver = await Receiver.start();
    life = await liveAnHour(receiver);
    ({ server } = life);
    browser = await startChromium();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await receiver?.close();
  });

  it.each(Object.entries(LOOKS))(
    '%s',
    async (look, options) => {
      const view = await ConsoleBrowser.open(browser, server, options);
      await view.go();
      await view.page.getByLabel('Email address').waitFor();
      await view.page.screenshot({ path: `${FOLDER}/${look}-login.png` });
      await view.logIn();
      for (const [name, path] of Object.entries(pages())) {
        await view.go(path.replace(/[?&]\w+=first$/, ''));
        await view.live();
        await view.settle();
        if (path.includes('event=first')) await view.page.locator('.event-line', { hasText: 'locked' }).first().click();
        else if (path.includes('=first')) await view.page.locator('tbody .link').first().click();
        if (path.includes('first')) await view.page.locator('dialog[open] .facts').waitFor();
        await view.settle();
        await view.page.screenshot({
          path: `${FOLDER}/${look}-${name}.png`,
          fullPage: !path.includes('events') && !path.includes('first'),
        });
        expect
          .soft(await view.page.evaluate('document.documentElement.scrollWidth - innerWidth'), `${look}-${name}`)
          .toBe(0);
      }
      expect(view.complaints).toEqual({ external: [], errors: [] });
      await view.close();
    },
    120_000,
  );
});
