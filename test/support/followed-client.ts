import { WebSocket } from 'ws';
import {
  HeraldClient,
  type ClientOptions,
  type ClientState,
  type Gap,
  type HeraldEvent,
} from '../../src/client/herald-client.js';
import { EventBus } from '../../src/events/event-bus.js';
import type { TestServer } from './server.js';
import { Inbox } from './inbox.js';
import { TcpProxy } from './tcp-proxy.js';

/** The client of the package, and everything it has told. */
export class FollowedClient {
  static readonly #open = new Set<{ close(): unknown }>();

  /** A client of a server, to be closed by {@link closeAll}. */
  static of(server: TestServer, options: ClientOptions): FollowedClient {
    const followed = new FollowedClient({ url: server.url, events: ['login.failed'], ...options });
    this.#open.add(followed.client);
    return followed;
  }

  /** A proxy to a server, to be closed by {@link closeAll}. */
  static async proxy(server: TestServer): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(server.url);
    this.#open.add(proxy);
    return proxy;
  }

  static async closeAll(): Promise<void> {
    for (const one of this.#open) await one.close();
    this.#open.clear();
  }

  readonly client: HeraldClient;
  readonly events = new Inbox<HeraldEvent>();
  readonly states = new Inbox<ClientState>();
  readonly gaps = new Inbox<Gap>();
  readonly errors: unknown[] = [];

  private constructor(options: ClientOptions) {
    this.client = new HeraldClient({ WebSocket, backoff: { baseMs: 50 }, ...options });
    this.client.on('*', (event) => this.events.push(event));
    this.client.onState((state) => this.states.push(state));
    this.client.onGap((gap) => this.gaps.push(gap));
    this.client.onError((error) => this.errors.push(error));
  }

  /** Connects, and waits until it is live. */
  async live(): Promise<this> {
    this.client.connect();
    await this.next('live');
    return this;
  }

  /** Waits for the next state of a kind. */
  async next<S extends ClientState['status']>(status: S): Promise<Extract<ClientState, { status: S }>> {
    return (await this.states.next((state) => state.status === status)) as Extract<ClientState, { status: S }>;
  }

  /** Waits for the failed login of an address. */
  async failureOf(email: string): Promise<HeraldEvent> {
    return this.events.next(({ payload }) => 'email' in payload && payload.email === email);
  }

  /** What failed logins it was told of, in order: the parts of their addresses before the `@`. */
  get failures(): string[] {
    return this.events.all.flatMap(
      (event) => (event.type === 'login.failed' ? event.payload.email.split('@')[0] : []) ?? [],
    );
  }

  get statuses(): string[] {
    return this.states.all.map(({ status }) => status);
  }
}

/** Publishes failed logins of numbered addresses, which admins are told of. */
export async function publishFailures({ app }: Pick<TestServer, 'app'>, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n += 1) await app.get(EventBus).publish('login.failed', { email: `${n}@example.com` });
}

/** The numbers from one to another, as {@link FollowedClient.failures} lists them. */
export function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, n) => String(from + n));
}
