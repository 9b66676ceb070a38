import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChromium } from '../support/chromium.js';
import { ConsoleBrowser } from '../support/console.js';
import { liveAnHour, type Life } from '../support/console-life.js';
import { Receiver } from '../support/receiver.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser: Browser;
let receiver: Receiver;
let life: Life;

const LOOKS: [string, BrowserContextOptions][] = [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['on a phone', { viewport: { width: 360, height: 740 } }],
];

/** Every page, and what to open on it. */
const pages = (): [path: string, open?: string][] => [
  [''],
  ['/events'],
  ['/events', '.event-line'],
  ['/jobs'],
  ['/jobs?status=dead', 'tbody .link'],
  ['/jobs?status=dead', '.cell-actions .button:last-child'],
  ['/webhooks'],
  ['/webhooks?new=1'],
  [`/webhooks/${life.endpointId}`],
  [`/webhooks/${life.failingId}`, 'tbody .link'],
  ['/connections'],
  ['/connections', '.cell-actions .button'],
  ['/users'],
  [`/users/${life.users[0]?.id}`],
  [`/users/${life.users[4]?.id}`],
  ['/users/nobody'],
  ['/audit'],
  ['/audit', 'tbody .link'],
  ['/settings'],
  ['/nowhere'],
];

/** What axe finds that is serious or critical, and whether the page scrolls sideways. */
async function faultsOf({ page }: ConsoleBrowser): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<AxeResults>('axe.run(document, { resultTypes: ["violations"] })');
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const found = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join('  ')}`);
  const tooWide = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
  return tooWide > 0 ? [...found, `it is ${tooWide} px too wide`] : found;
}

describe('the console for everybody', () => {
  beforeAll(async () => {
    browser = await startChromium();
    receiver = await Receiver.start();
    life = await liveAnHour(receiver);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await life?.server.close();
    await receiver?.close();
  });

  it.each(LOOKS)(
    'has no serious fault on any page or in any dialog, fits, and asks nobody else for anything: %s',
    async (_, options) => {
      const view = await ConsoleBrowser.open(browser, life.server, options);
      const faults: Record<string, string[]> = {};
      await view.go();
      await view.page.getByLabel('Email address').waitFor();
      faults['login'] = await faultsOf(view);
      await view.logIn();
      for (const [path, open = ''] of pages()) {
        await view.go(path);
        await view.live();
        await view.settle();
        if (open !== '') {
          await view.page.locator(open).first().click();
          await view.page.locator('dialog[open]').waitFor();
          await view.settle();
        }
        faults[`${path} ${open}`] = await faultsOf(view);
      }
      expect(Object.entries(faults).filter(([, found]) => found.length > 0)).toEqual([]);
      expect(Object.keys(faults)).toHaveLength(pages().length + 1);
      expect(view.complaints).toEqual({ external: [], errors: [] });
      await view.close();
    },
    120_000,
  );
});
