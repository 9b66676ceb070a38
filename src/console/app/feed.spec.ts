import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Event, Page } from './api-types.js';
import { Feed } from './feed.js';

const MAX_KEPT = 10_000;

const page = vi.hoisted(() => ({
  take: (_event: Event): void => undefined,
  get: (_path: string): Promise<Page<Event>> => Promise.reject(new Error('Not set')),
}));
vi.mock('./resource.js', () => ({ toHeraldError: (error: unknown) => error }));
vi.mock('./session.js', () => ({
  api: { get: (path: string) => page.get(path) },
  client: {
    on: (_: string, handler: (event: Event) => void) => {
      page.take = handler;
      return () => undefined;
    },
  },
}));

const eventOf = (n: number): Event => ({ id: String(n).padStart(6, '0'), type: 'a.b', timestamp: '', payload: {} });
/** What the service has kept, the oldest first. */
let kept: Event[];
/** Absent while the tab is hidden. */
let frame: (() => void) | undefined;

function happen(count: number): void {
  for (let n = 0; n < count; n += 1) {
    const event = eventOf(kept.length + 1);
    kept.push(event);
    page.take(event);
  }
}

/** Answers as the service does: up to 200 events before an id, the newest first. */
async function read(path: string): Promise<Page<Event>> {
  const before = new URL(path, 'http://localhost').searchParams.get('before') ?? '999999';
  const older = kept.filter(({ id }) => id < before);
  return { items: older.slice(-200).toReversed(), hasMore: older.length > 200, nextCursor: null };
}

const shown = (feed: Feed): number[] => feed.events.peek().map(({ id }) => Number(id));
/** From one number down to another. */
const down = (from: number, to: number): number[] => Array.from({ length: from - to + 1 }, (_, n) => from - n);

async function open(): Promise<Feed> {
  const feed = new Feed('*');
  await vi.waitUntil(() => !feed.isLoading.peek());
  return feed;
}

describe('the feed', () => {
  beforeEach(() => {
    kept = [];
    frame = undefined;
    page.get = read;
    vi.stubGlobal('requestAnimationFrame', (callback: () => void) => {
      frame = callback;
      return 1;
    });
    vi.stubGlobal('cancelAnimationFrame', () => undefined);
  });
  afterEach(() => vi.unstubAllGlobals());

  it('shows again what it dropped while no frame came', async () => {
    const feed = await open();
    happen(MAX_KEPT + 100);
    frame?.();
    expect(shown(feed)).toEqual(down(MAX_KEPT + 100, 101));
    expect(feed.hasOlder.peek()).toBe(true);
    await feed.loadOlder();
    expect(shown(feed)).toEqual(down(MAX_KEPT + 100, 1));
    expect(feed.hasOlder.peek()).toBe(false);
  });

  it('shows again what it dropped while it was paused', async () => {
    const feed = await open();
    happen(50);
    frame?.();
    feed.pause(true);
    happen(MAX_KEPT + 100);
    frame?.();
    expect([feed.events.peek().length, feed.waiting.peek()]).toEqual([50, MAX_KEPT]);
    feed.pause(false);
    await feed.loadOlder();
    expect(shown(feed)).toEqual(down(MAX_KEPT + 150, 1));
  });

  it('leaves no gap when its end is cut off while older events are read', async () => {
    kept = down(300, 1).toReversed().map(eventOf);
    const feed = await open();
    expect(shown(feed)).toEqual(down(300, 101));
    const reading = feed.loadOlder();
    happen(MAX_KEPT);
    frame?.();
    await reading;
    expect(shown(feed)).toEqual(down(MAX_KEPT + 300, 301));
    expect(feed.hasOlder.peek()).toBe(true);
    await feed.loadOlder();
    expect(shown(feed)).toEqual(down(MAX_KEPT + 300, 101));
  });
});
