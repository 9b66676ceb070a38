import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EventBus } from '../../src/events/event-bus.js';
import { mailedToken } from '../support/accounts.js';
import type { TestUser, Tokens } from '../support/api.js';
import { newHolder, REVOCATIONS, type ConnectionName, type Holder } from '../support/revocations.js';
import { ADMIN, TestServer } from '../support/server.js';
import type { SseClient } from '../support/sse-client.js';
import { WsClient } from '../support/ws-client.js';

type Name = ConnectionName | 'other websocket' | 'other sse' | 'admin websocket';
type Client = WsClient | SseClient;
interface Told {
  id: string;
  type: string;
  payload: { email?: string };
}

/** How an ended connection is told, on either transport. */
const WS_END = '4403 The session has ended';
const SSE_END = 'event: stream.end\ndata: {"reason":"revoked","reconnect":false}';
/** No act of the table publishes it: seen, it shows that a connection is alive. */
const MARKER = 'account.unlocked';

let server: TestServer;
let admin: string;
/** Sees everything, so what has reached it has been delivered to all. */
let witness: WsClient;
const open = new Set<Client>();
beforeAll(async () => {
  server = await TestServer.start();
  admin = (await server.api.login(ADMIN)).accessToken;
  witness = await server.subscriber(admin);
});
afterEach(() => {
  for (const client of open) client.close();
  open.clear();
});
afterAll(() => server.close());

const publish = (type: 'account.unlocked' | 'login.failed', email: string) =>
  server.app.get(EventBus).publish(type, { email });

async function webSocket(credentials: { token: string } | { apiKey: string }): Promise<WsClient> {
  const client = await server.webSocket();
  open.add(client);
  client.send({ type: 'auth', ...credentials }, { type: 'subscribe', events: ['*'] });
  await client.next(({ type }) => type === 'subscribed');
  return client;
}

async function stream(headers: Record<string, string>): Promise<SseClient> {
  const client = await server.stream({ headers });
  open.add(client);
  // It is subscribed before its first bytes are on their way.
  await client.next();
  return client;
}

async function bothOf({ accessToken: token }: Tokens): Promise<[WsClient, SseClient]> {
  return Promise.all([webSocket({ token }), stream({ Authorization: `Bearer ${token}` })]);
}

/** Waits until everything that has happened so far has been delivered. */
async function delivered(): Promise<void> {
  const email = 'witness@example.com';
  await publish('login.failed', email);
  await witness.next(({ event }) => (event as Told | undefined)?.payload.email === email);
}

/** Every event a client has received, in order. */
function eventsOf(client: Client): Told[] {
  if (client instanceof WsClient) {
    return client.received.flatMap(({ type, event }) => (type === 'event' ? [event as Told] : []));
  }
  return client.received.flatMap(({ id, data = '' }) =>
    id === undefined ? [] : [{ id, ...(JSON.parse(data) as Omit<Told, 'id'>) }],
  );
}

/** The same people and programs each time, all connected: an account, another one, and an admin. */
class Crowd {
  private readonly states: Partial<Record<Name, string>> = {};

  private constructor(
    readonly holder: Holder,
    readonly other: TestUser,
    readonly clients: Record<Name, Client>,
  ) {
    for (const name of this.names) {
      this.states[name] = 'open';
      void this.endOf(clients[name]).then((end) => (this.states[name] = end));
    }
  }

  static async gather(): Promise<Crowd> {
    const [holder, other] = await Promise.all([newHolder(server.api), server.api.register()]);
    await delivered();
    const { user, second, key } = holder;
    const [ofFirst, ofSecond, ofOther] = await Promise.all([bothOf(user), bothOf(second), bothOf(other)]);
    return new Crowd(holder, other, {
      'first websocket': ofFirst[0],
      'first sse': ofFirst[1],
      'second websocket': ofSecond[0],
      'second sse': ofSecond[1],
      'key websocket': await webSocket({ apiKey: key.rawKey }),
      'key sse': await stream({ 'X-API-Key': key.rawKey }),
      'other websocket': ofOther[0],
      'other sse': ofOther[1],
      'admin websocket': await webSocket({ token: admin }),
    });
  }

  get names(): Name[] {
    return Object.keys(this.clients) as Name[];
  }

  /** How each connection stands: open, or the very words of its end. */
  get state(): Partial<Record<Name, string>> {
    return { ...this.states };
  }

  /** What `state` is when exactly these have ended. */
  stateWithout(ended: readonly Name[]): Partial<Record<Name, string>> {
    const stateOf = (name: Name) =>
      ended.includes(name) ? (this.clients[name] instanceof WsClient ? WS_END : SSE_END) : 'open';
    return Object.fromEntries(this.names.map((name) => [name, stateOf(name)]));
  }

  /** Lets something happen that each of these sees, waits until it has come, and asks the WebSockets for an answer. */
  async proveAlive(names: readonly Name[]): Promise<void> {
    for (const { email } of [this.holder.user, this.other]) await publish(MARKER, email);
    for (const name of names) {
      const client = this.clients[name];
      const email = this.lastMarkerOf(name);
      if (client instanceof WsClient) {
        await client.next(({ event }) => isMarker(event as Told | undefined, email));
        await client.settle();
      } else {
        await client.next(({ event, data = '' }) => event === MARKER && data.includes(email));
      }
    }
  }

  /** The types of what a connection has seen, up to the last marker that is meant for it. */
  seenBy(name: Name): string[] {
    const events = eventsOf(this.clients[name]);
    const end = events.findIndex((event) => isMarker(event, this.lastMarkerOf(name)));
    return (end < 0 ? events : events.slice(0, end + 1)).map(({ type }) => type);
  }

  private lastMarkerOf(name: Name): string {
    return name.startsWith('admin') || name.startsWith('other') ? this.other.email : this.holder.user.email;
  }

  private async endOf(client: Client): Promise<string> {
    if (client instanceof WsClient) {
      const { code, reason } = await client.closed;
      return `${code} ${reason}`;
    }
    await client.ended;
    return client.received.at(-1)?.text ?? '';
  }
}

function isMarker(event: Told | undefined, email: string): boolean {
  return event?.type === MARKER && event.payload.email === email;
}

/** Named so that a reader sees who is cut off by what. */
const ROWS = REVOCATIONS.map((row) => [row.name, row.ends.join(', ') || 'nobody', row] as const);

describe('who is cut off, and who is not', () => {
  it.each(ROWS)('%s ends: %s', async (_name, _ends, { prepare, status, ends, told }) => {
    const crowd = await Crowd.gather();
    const resetToken = async ({ email }: TestUser) => {
      await server.api.post('/auth/forgot-password', { email });
      return mailedToken(server, 'reset-password', email);
    };
    const { method, path, ...options } = await prepare(crowd.holder, { api: server.api, admin, resetToken });
    const answer = await server.api.call(method, path, options);
    if (status === undefined) expect(answer.status).toBeLessThan(300);
    else expect(answer.status).toBe(status);

    await expect.poll(() => crowd.state, { interval: 5, timeout: 10_000 }).toEqual(crowd.stateWithout(ends));
    const left = crowd.names.filter((name) => !(ends as readonly Name[]).includes(name));
    await crowd.proveAlive(left);
    expect(crowd.state).toEqual(crowd.stateWithout(ends));

    // Who was cut off had heard why, and nothing after it; who was not has missed nothing.
    for (const name of crowd.names) {
      const seen = {
        admin: [...told, MARKER, MARKER],
        other: [MARKER],
        account: left.includes(name) ? [...told, MARKER] : told,
      };
      const [who = ''] = name.split(' ');
      expect(crowd.seenBy(name), name).toEqual(who === 'admin' || who === 'other' ? seen[who] : seen.account);
    }
  });
});

describe('a new token on a connection that is open', () => {
  it('goes on amid 200 events without gap or repeat, and refreshing disturbs nobody', async () => {
    const user = await server.api.register();
    await delivered();
    const [socket, events] = await bothOf(user);
    const sessions = async () => {
      const { connections } = (await server.api.get('/realtime/connections', admin)).body.data;
      return (connections as { id: string; userId: string; sessionId: string }[])
        .filter(({ userId }) => userId === user.id)
        .map(({ id, sessionId }) => [id, sessionId]);
    };
    const before = await sessions();
    expect(before).toHaveLength(2);

    let { refreshToken } = user;
    for (let round = 0; round < 10; round += 1) {
      const twenty = Promise.all(Array.from({ length: 20 }, () => publish('login.failed', user.email)));
      const { data } = (await server.api.post('/auth/refresh', { refreshToken })).body;
      ({ refreshToken } = data as Tokens);
      socket.send({ type: 'auth', token: data.accessToken as string });
      expect(await socket.next(({ type }) => type === 'auth')).toEqual({ type: 'auth', ok: true, userId: user.id });
      await twenty;
    }
    await publish(MARKER, user.email);
    await Promise.all([socket.nextEvent(MARKER), events.nextEvent(MARKER)]);

    const page = await server.api.get('/events?type=login.failed&limit=200', user.accessToken);
    const journal = (page.body.data.items as Told[]).map(({ id }) => id);
    expect(journal).toHaveLength(200);
    for (const client of [socket, events]) {
      expect(eventsOf(client).flatMap(({ id, type }) => (type === 'login.failed' ? [id] : []))).toEqual(journal);
    }
    expect(await sessions()).toEqual(before);
  });

  it('of another session of the account makes it that session’s connection, and no more the first one’s', async () => {
    const user = await server.api.register();
    const second = await server.api.login(user);
    await delivered();
    const socket = await webSocket({ token: user.accessToken });
    socket.send({ type: 'auth', token: second.accessToken });
    await socket.next(({ type }) => type === 'auth');
    const stayed = await webSocket({ token: user.accessToken });

    await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    expect(await stayed.closed).toMatchObject({ code: 4403 });
    await publish(MARKER, user.email);
    await socket.nextEvent(MARKER);
    await socket.settle();

    await server.api.post('/auth/logout', { refreshToken: second.refreshToken }, second.accessToken);
    expect(await socket.closed).toMatchObject({ code: 4403 });
    expect(socket.events).toEqual(['logout', MARKER, 'logout']);
  });
});
