import { typesOf } from '../events/event-filter.js';
import { visibleSubjects } from '../events/visibility.js';
import { EventBatch, type EventFrames } from './frames.js';
import type { RealtimeConnection } from './realtime-connection.js';

/** How long events gather while many come, counted from the end of the last flush, in ms. */
const COALESCE_MS = 8;
/** How long it is taken to be busy after a flush of more than one event, in ms. */
const BUSY_MS = 50;
/** More than this is worth a write of its own. */
const MUCH_BYTES = 65_536;
/** The audience of admins, and the types of a client that wants all of them. */
const EVERYTHING = '*';

/** Connections that get the same events: one audience, one set of types. */
interface Group {
  readonly key: string;
  /** The subjects they may see. */
  readonly audience: readonly string[];
  /** Undefined for every type. */
  readonly types: ReadonlySet<string> | undefined;
  readonly members: Set<RealtimeConnection>;
  /** Not sent yet. */
  pending: EventFrames[];
  /** What they weigh, roughly. */
  bytes: number;
  /** How much of `pending` a member has had already: it came later, or could not wait. */
  readonly had: Map<RealtimeConnection, number>;
}

/** Told what a flush could not send. */
export interface FanOutOptions {
  /** Bytes that may wait for one connection. */
  maxBufferedBytes: number;
  /** Ends a connection for which more would wait. */
  onSlow: (connection: RealtimeConnection) => void;
  /** Told of events once they were written to everybody who gets them. */
  onSent?: (events: ReadonlySet<EventFrames>) => void;
}

/**
 * Brings each event to the live connections that may and want to see it.
 *
 * One `send()` costs the kernel microseconds, whatever its size, so what counts is how few there are: connections are
 * grouped by what they get, an event is encoded once, it is written at once when it is quiet, and while many come they
 * gather for some milliseconds and go out in one write per connection.
 */
export class FanOut {
  private readonly groups = new Map<string, Group>();
  private readonly byAudience = new Map<string, Set<Group>>();
  private readonly groupOf = new Map<RealtimeConnection, Group>();
  private readonly dirty = new Set<Group>();
  /** Events that wait in some group. */
  private gathered = new Set<EventFrames>();
  private scheduled = false;
  private timer: NodeJS.Timeout | undefined;
  private flushedAt = Number.NEGATIVE_INFINITY;
  /** Until when events are taken to be many. */
  private busyUntil = Number.NEGATIVE_INFINITY;

  /** When a group has gathered enough to be sent at once. */
  private readonly muchBytes: number;

  constructor(private readonly options: FanOutOptions) {
    this.muchBytes = Math.min(MUCH_BYTES, options.maxBufferedBytes / 4);
  }

  /** Takes a connection in: it gets every event from now on, by its filters and principal of this moment. */
  join(connection: RealtimeConnection): void {
    this.leave(connection);
    if (!connection.principal || connection.filters.size === 0) return;
    const audience = visibleSubjects(connection.principal) ?? [EVERYTHING];
    const types = typesOf(connection.filters.keys());
    const key = JSON.stringify([audience, types?.toSorted() ?? EVERYTHING]);
    let group = this.groups.get(key);
    if (!group) {
      const members = new Set<RealtimeConnection>();
      group = { key, audience, types: types && new Set(types), members, pending: [], bytes: 0, had: new Map() };
      this.groups.set(key, group);
      for (const subject of audience) getOrAdd(this.byAudience, subject).add(group);
    }
    group.members.add(connection);
    if (group.pending.length > 0) group.had.set(connection, group.pending.length);
    this.groupOf.set(connection, group);
    connection.fanOut = this;
  }

  /** Lets go of a connection, once it has been sent what it still had to get. */
  leave(connection: RealtimeConnection): void {
    this.flushOne(connection);
    const group = this.groupOf.get(connection);
    if (!group) return;
    this.groupOf.delete(connection);
    group.members.delete(connection);
    group.had.delete(connection);
    if (group.members.size > 0) return;
    this.groups.delete(group.key);
    this.dirty.delete(group);
    for (const subject of group.audience) {
      const groups = this.byAudience.get(subject);
      groups?.delete(group);
      if (groups?.size === 0) this.byAudience.delete(subject);
    }
  }

  /** Sends an event to everybody concerned, now or with those that follow. */
  publish(frames: EventFrames): void {
    const { subject, type } = frames.event;
    let isMuch = false;
    let isGathered = false;
    for (const audience of [subject, EVERYTHING]) {
      for (const group of this.byAudience.get(audience) ?? []) {
        if (group.types && !group.types.has(type)) continue;
        group.pending.push(frames);
        group.bytes += frames.webSocket.length;
        this.dirty.add(group);
        isGathered = true;
        isMuch ||= group.bytes >= this.muchBytes;
      }
    }
    if (!isGathered) return;
    this.gathered.add(frames);
    // A batch that alone is more than may wait would end a client that reads.
    if (isMuch) this.flush();
    else this.schedule();
  }

  /** Sends a connection what it still has to get, so that what is written next comes after it. */
  flushOne(connection: RealtimeConnection): void {
    const group = this.groupOf.get(connection);
    if (!group) return;
    const had = group.had.get(connection) ?? 0;
    if (had === group.pending.length) return;
    group.had.set(connection, group.pending.length);
    this.write(connection, new EventBatch(group.pending.slice(had)));
  }

  /** Sends everything now. */
  flush(): void {
    clearTimeout(this.timer);
    this.scheduled = false;
    const groups = [...this.dirty];
    this.dirty.clear();
    for (const group of groups) {
      const { pending } = group;
      const had = new Map(group.had);
      group.pending = [];
      group.bytes = 0;
      group.had.clear();
      const whole = new EventBatch(pending);
      for (const connection of group.members) {
        const from = had.get(connection) ?? 0;
        if (from === pending.length) continue;
        this.write(connection, from === 0 ? whole : new EventBatch(pending.slice(from)));
      }
    }
    this.flushedAt = performance.now();
    const { gathered } = this;
    if (gathered.size > 1) this.busyUntil = this.flushedAt + BUSY_MS;
    this.gathered = new Set();
    this.options.onSent?.(gathered);
  }

  /** Sends a connection events that it gets for itself. */
  write(connection: RealtimeConnection, batch: EventBatch): void {
    // Counted before it is added: what waits is never more than is allowed.
    if (connection.bufferedBytes + connection.sizeOf(batch) > this.options.maxBufferedBytes) {
      this.options.onSlow(connection);
    } else {
      connection.send(batch);
    }
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const now = performance.now();
    const wait = now < this.busyUntil ? this.flushedAt + COALESCE_MS - now : 0;
    // After the events that the relay delivers in the same breath.
    if (wait <= 0) queueMicrotask(() => this.scheduled && this.flush());
    else this.timer = setTimeout(() => this.flush(), wait);
  }
}

function getOrAdd(map: Map<string, Set<Group>>, key: string): Set<Group> {
  let groups = map.get(key);
  if (!groups) map.set(key, (groups = new Set()));
  return groups;
}
