import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { ADMIN, type TestServer } from './server.js';

/** What a browser context of the console has seen that it never should. */
export interface Complaints {
  /** Requests to another origin. */
  external: string[];
  /** Errors of the page, those of its content security policy too. */
  errors: string[];
}

/** The end of all movements that have one. */
const FINISHED = `Promise.allSettled(
  document.getAnimations().filter(({ effect }) => effect.getTiming().iterations !== Infinity).map(({ finished }) => finished),
).then(() => undefined)`;

/** The console in a browser. */
export class ConsoleBrowser {
  readonly complaints: Complaints = { external: [], errors: [] };

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    readonly server: TestServer,
  ) {}

  /** Opens an empty page in a context of its own; every request that leaves the server's origin is noted and stopped. */
  static async open(
    browser: Browser,
    server: TestServer,
    options: BrowserContextOptions = {},
  ): Promise<ConsoleBrowser> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const opened = new ConsoleBrowser(context, await context.newPage(), server);
    await context.route('**', async (route) => {
      const url = route.request().url();
      if (url.startsWith(`${server.url}/`) || url.startsWith('data:')) return route.continue();
      opened.complaints.external.push(url);
      return route.abort();
    });
    opened.page.on('websocket', (socket) => {
      if (!socket.url().startsWith(server.url.replace('http', 'ws'))) opened.complaints.external.push(socket.url());
    });
    opened.page.on('pageerror', (error) => opened.complaints.errors.push(error.message));
    opened.page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) opened.complaints.errors.push(message.text());
    });
    return opened;
  }

  /** Goes to an address below `/console`. */
  async go(path = ''): Promise<void> {
    await this.page.goto(`${this.server.url}/console${path}`);
  }

  /** Logs in as the admin of the tests and waits until the page is live. */
  async logIn({ email, password } = ADMIN): Promise<void> {
    await this.go();
    await this.page.getByLabel('Email address').fill(email);
    await this.page.getByLabel('Password').fill(password);
    await this.page.getByRole('button', { name: 'Log in' }).click();
    await this.live();
  }

  /** Resolves once the page is live. */
  async live(): Promise<void> {
    await this.page.locator('[data-state=live]:visible').first().waitFor();
  }

  /** Resolves once everything is loaded and nothing moves any more, beside what moves for ever. */
  async settle(): Promise<void> {
    for (const skeleton of await this.page.locator('.skeleton').all()) await skeleton.waitFor({ state: 'detached' });
    await this.page.evaluate(FINISHED);
  }

  async close(): Promise<void> {
    await this.context.close();
  }
}
