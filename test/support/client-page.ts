import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BrowserContext, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { ClientState, Gap, HeraldEvent, Tokens } from '../../src/client/herald-client.js';

/** The page of an app; what it does with the client is here, so that the test needs no types of a browser. */
const html = (url: string): string => `<!doctype html>
<title>An app</title>
<script type="module">
  import { HeraldClient } from '${url}/client.js';
  globalThis.log = { events: [], states: [], gaps: [], errors: [] };
  globalThis.begin = ({ isShared, ...options }) => {
    const store = {
      get: () => JSON.parse(localStorage.getItem('tokens')),
      set: (tokens) => localStorage.setItem('tokens', JSON.stringify(tokens)),
    };
    const client = new HeraldClient({ ...options, ...(isShared && { auth: store }) });
    client.on('*', (event) => log.events.push(event));
    client.onState((state) => log.states.push(state));
    client.onGap((gap) => log.gaps.push(gap));
    client.onError((error) => log.errors.push(String(error)));
    client.connect();
  };
  globalThis.isReady = true;
</script>`;

/** What a page was told. */
interface Log {
  events: HeraldEvent[];
  states: ClientState[];
  gaps: Gap[];
  errors: string[];
}

/** How a page begins; what a page cannot be handed as it is has a name of its own. */
export interface PageOptions {
  url: string;
  transport: 'websocket' | 'sse';
  auth?: Tokens;
  /** The tokens are in `localStorage`. */
  isShared?: boolean;
  events?: string[];
  heartbeatMs?: number;
  timeoutMs?: number;
  backoff?: { baseMs: number };
}

/** An app of another origin than Herald's. */
export class AppServer {
  private constructor(
    private readonly server: Server,
    private readonly herald: { url: string },
  ) {
    server.on('request', (_request, response) => {
      response.setHeader('Content-Type', 'text/html').end(html(this.herald.url));
    });
  }

  /** @param herald - where the client is loaded from, by the time a page is opened. */
  static async start(herald: { url: string }): Promise<AppServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new AppServer(server, herald);
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Opens the app in a tab. */
  async open(context: BrowserContext): Promise<ClientPage> {
    const page = await context.newPage();
    return new ClientPage(page, this.origin);
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }
}

/** A tab with the client in it. */
export class ClientPage {
  /** Errors that the page did not catch. */
  readonly uncaught: string[] = [];

  constructor(
    readonly page: Page,
    private readonly origin: string,
  ) {
    page.on('pageerror', (error) => this.uncaught.push(String(error)));
  }

  /** Loads the client. */
  async load(): Promise<this> {
    await this.page.goto(this.origin);
    await this.page.waitForFunction('globalThis.isReady');
    return this;
  }

  /** Connects, and waits until it is live. */
  async live(options: PageOptions): Promise<this> {
    await this.load();
    await this.page.evaluate(
      `begin(${JSON.stringify({ events: ['login.failed'], backoff: { baseMs: 50 }, ...options })})`,
    );
    await this.status('live');
    return this;
  }

  log(): Promise<Log> {
    return this.page.evaluate('log');
  }

  /** What failed logins it was told of, in order: the parts of their addresses before the `@`. */
  async failures(): Promise<string[]> {
    const { events } = await this.log();
    return events.flatMap((event) => (event.type === 'login.failed' ? (event.payload.email.split('@')[0] ?? []) : []));
  }

  /** Waits until that is where it stands. */
  async status(status: ClientState['status']): Promise<ClientState | undefined> {
    const last = async () => (await this.log()).states.at(-1);
    await expect.poll(last, { timeout: 10_000 }).toMatchObject({ status });
    return last();
  }

  /** Waits until it was told of so many failed logins. */
  async told(count: number): Promise<void> {
    await expect.poll(async () => (await this.failures()).length, { timeout: 10_000 }).toBeGreaterThanOrEqual(count);
  }

  /** Freezes the tab, as browsers do with one that is not looked at, or has it go on. */
  async freeze(isFrozen: boolean): Promise<void> {
    const session = await this.page.context().newCDPSession(this.page);
    await session.send('Page.setWebLifecycleState', { state: isFrozen ? 'frozen' : 'active' });
    await session.detach();
  }
}
