import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeSocket } from '../../test/support/fake-socket.js';
import { HeraldClient, type ClientOptions, type ClientState } from './herald-client.js';

const NOW = Date.UTC(2026, 1, 16, 12);
const HOUR_MS = 3_600_000;

let client: HeraldClient;
let states: ClientState[];
let events: string[];

/** A client that has an id to resume after, so that it opens a socket at once. */
async function start(options: ClientOptions = {}): Promise<FakeSocket> {
  client = new HeraldClient({
    url: 'https://herald.example.com/',
    auth: { apiKey: 'oapi_x' },
    lastEventId: 'evt-0',
    WebSocket: FakeSocket,
    random: () => 0.5,
    ...options,
  });
  states = [];
  events = [];
  client.onState((state) => states.push(state));
  client.on('*', ({ id }) => events.push(id));
  client.connect();
  await vi.advanceTimersByTimeAsync(0);
  return FakeSocket.last;
}

/** The machine sleeps: the clock goes on, the timers do not. */
const sleep = (ms: number): void => void vi.setSystemTime(Date.now() + ms);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('the connection of a client', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: NOW });
    FakeSocket.all.length = 0;
  });
  afterEach(() => {
    client.close();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('authenticates and subscribes in one go, resuming after the last id', async () => {
    const socket = await start({ events: ['login.*'] });
    expect(socket.url).toBe('wss://herald.example.com/ws');
    socket.accept();
    expect(socket.sent).toEqual([
      { type: 'auth', requestId: 'auth', apiKey: 'oapi_x' },
      { type: 'subscribe', requestId: 'first', events: ['login.*'], lastEventId: 'evt-0' },
    ]);
    expect(states).toEqual([
      { status: 'connecting', attempt: 1 },
      { status: 'live', transport: 'websocket' },
    ]);
  });

  it('comes back with growing pauses, and after a steady connection begins anew', async () => {
    const socket = await start();
    socket.accept().hangUp(1006);
    for (let n = 0; n < 3; n += 1) {
      const { state } = client;
      await pass(state.status === 'waiting' ? state.retryAt - Date.now() : 0);
      FakeSocket.last.hangUp(1006);
    }
    const pauses = () => states.flatMap((state) => (state.status === 'waiting' ? [state.attempt] : []));
    expect(pauses()).toEqual([1, 2, 3, 4]);
    expect(states.at(-1)).toMatchObject({
      retryAt: Date.now() + 4000,
      reason: 'network',
      error: { code: 'CLOSE_1006' },
    });
    await pass(4000);
    FakeSocket.last.accept();
    await pass(10_000);
    FakeSocket.last.hangUp(1001);
    expect(states.at(-1)).toMatchObject({ attempt: 1, retryAt: Date.now() + 500, reason: 'shutdown' });
  });

  it('hands on each event once, and resumes after the last', async () => {
    const socket = await start();
    socket.accept();
    for (const n of [1, 2, 2, 1, 3]) socket.event(n);
    socket.hangUp(4429);
    await pass(500);
    const next = FakeSocket.last.accept();
    expect(next.ofType('subscribe')).toMatchObject([{ lastEventId: 'evt-3' }]);
    for (const n of [2, 3, 4]) next.event(n);
    expect(events).toEqual(['evt-1', 'evt-2', 'evt-3', 'evt-4']);
  });

  it('hears nothing more of a connection that it has let go of', async () => {
    const socket = await start();
    socket.accept();
    client.close();
    socket.event(1);
    socket.hangUp(1006);
    expect(events).toEqual([]);
    expect(states.at(-1)).toEqual({ status: 'stopped', reason: 'closed' });
  });

  it('asks a silent service, and gives it up when it does not answer', async () => {
    const socket = await start();
    socket.accept();
    await pass(30_000);
    expect(socket.ofType('ping')).toHaveLength(1);
    socket.say({ type: 'pong' });
    await pass(30_000);
    expect(socket.ofType('ping')).toHaveLength(2);
    await pass(4000);
    expect(states.at(-1)).toMatchObject({ status: 'live' });
    await pass(2000);
    expect(socket.ended).toBe('terminated');
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('notices after a sleep within seconds that the connection has died', async () => {
    const socket = await start();
    socket.accept();
    sleep(2 * HOUR_MS);
    await pass(1000);
    expect(socket.ofType('ping')).toHaveLength(1);
    await pass(6000);
    expect(socket.ended).toBe('terminated');
    await pass(500);
    FakeSocket.last.accept();
    expect(states.at(-1)).toMatchObject({ status: 'live' });
  });

  it('keeps a connection that answers after a sleep', async () => {
    const socket = await start();
    socket.accept();
    sleep(2 * HOUR_MS);
    await pass(1000);
    socket.say({ type: 'pong' });
    await pass(20_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('does not wait for a timer that slept', async () => {
    const socket = await start({ random: () => 0.999 });
    socket.hangUp(1006);
    sleep(HOUR_MS);
    // The wait has all of its second left by the timer; the next look at the clock comes with it.
    await pass(1000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('comes back at once when the network does, but not before the service wants it', async () => {
    const page = new EventTarget();
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
    vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
    const socket = await start();
    socket.hangUp(1006);
    page.dispatchEvent(new Event('online'));
    await pass(0);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.hangUp(1013);
    page.dispatchEvent(new Event('online'));
    await pass(0);
    expect(FakeSocket.all).toHaveLength(2);
    expect(states.at(-1)).toMatchObject({ reason: 'busy', retryAt: Date.now() + 15_000 + 1000 });
  });

  it('gives up an attempt that comes to nothing', async () => {
    const socket = await start();
    await pass(16_000);
    expect(socket.ended).toBe('terminated');
    expect(states.at(-1)).toMatchObject({ status: 'waiting', reason: 'network' });
  });

  it('stops when a token that is new is refused as well', async () => {
    let made = 0;
    const socket = await start({ auth: () => `token ${(made += 1)}` });
    const refuse = (one: FakeSocket): void => {
      one.accept();
      one.say({ type: 'auth', ok: false });
    };
    refuse(socket);
    await pass(0);
    // It was live in between: each time it may be another reason.
    refuse(FakeSocket.last);
    await pass(0);
    FakeSocket.last.say({ type: 'auth', ok: false });
    expect(states.at(-1)).toMatchObject({ status: 'stopped', reason: 'unauthorized', error: { status: 401 } });
    expect(made).toBe(3);
  });

  it('shows a new token in place when the old one is about to expire', async () => {
    let made = 0;
    const socket = await start({ auth: () => `token ${(made += 1)}` });
    socket.accept();
    socket.say({ type: 'auth', expiring: true, expiresAt: NOW });
    await pass(0);
    expect(socket.ofType('auth').map(({ token }) => token)).toEqual(['token 1', 'token 2']);
    expect(states.map(({ status }) => status)).toEqual(['connecting', 'live']);
  });

  it('tries again to get a new token while the old one is good', async () => {
    const answers = ['first', new Error('the network is gone'), 'second'];
    const socket = await start({
      auth: () => {
        const answer = answers.shift() ?? '';
        return answer instanceof Error ? Promise.reject(answer) : answer;
      },
    });
    socket.accept();
    socket.say({ type: 'auth', expiring: true, expiresAt: NOW });
    await pass(4000);
    expect(socket.ofType('auth')).toHaveLength(1);
    await pass(2000);
    expect(socket.ofType('auth').map(({ token }) => token)).toEqual(['first', 'second']);
  });

  it.each([
    ['auth', 'VALIDATION', { status: 'stopped', reason: 'policy', error: { code: 'VALIDATION', status: 422 } }],
    ['subscribe', 'VALIDATION', { status: 'stopped', reason: 'policy' }],
    ['auth', 'FORBIDDEN', { status: 'stopped', reason: 'policy' }],
    ['auth', 'RATE_LIMITED', { status: 'waiting', reason: 'busy', retryAt: NOW + 15_000 + 500 }],
    ['auth', 'SERVICE_UNAVAILABLE', { status: 'waiting', reason: 'busy' }],
    ['auth', 'INTERNAL', { status: 'waiting', reason: 'error', error: { code: 'INTERNAL', message: 'x' } }],
    ['subscribe', 'INTERNAL', { status: 'waiting', reason: 'error' }],
    ['auth', 'OF_A_LATER_VERSION', { status: 'waiting', reason: 'error' }],
    ['auth', undefined, { status: 'waiting', reason: 'error' }],
  ])('after an error to its %s with the code %s does what the code says', async (requestId, code, state) => {
    const socket = await start();
    socket.accept();
    socket.say({ type: 'error', code, message: 'x', requestId });
    expect(states.at(-1)).toMatchObject(state);
  });

  it.each([
    ['does not know', [{ field: 'lastEventId', code: 'CURSOR_UNKNOWN', message: 'x' }], 1],
    ['cannot look for', undefined, 0],
  ])('lets go only of a cursor that the service does not know; this one it %s', async (_, details, gaps) => {
    // The log is empty: without a cursor there is none to be had.
    const fetch = () => Promise.resolve(Response.json({ data: { items: [] } }));
    const socket = await start({ fetch });
    let told = 0;
    client.onGap(() => (told += 1));
    socket.readyState = 1;
    const code = details ? 'VALIDATION' : 'INTERNAL';
    socket.say({ type: 'auth', ok: true });
    socket.say({ type: 'error', code, message: 'x', details, requestId: 'first' });
    expect(socket.ofType('subscribe')).toEqual([]);
    expect(states.at(-1)).toMatchObject(details ? { status: 'connecting' } : { status: 'waiting', reason: 'error' });
    expect(told).toBe(gaps);
    await pass(1000);
    expect(FakeSocket.last).not.toBe(socket);
    const [subscribe] = FakeSocket.last.accept().ofType('subscribe');
    expect(subscribe?.['lastEventId']).toBe(details ? undefined : 'evt-0');
  });

  it('stops where what answers is no Herald', async () => {
    const socket = await start();
    socket.say('<html>');
    expect(states.at(-1)).toMatchObject({ status: 'stopped', reason: 'policy' });
  });
});
