import { Injectable, Logger } from '@nestjs/common';
import { Authenticator } from '../auth/authenticator.service.js';
import type { Principal } from '../common/principal.js';
import { Turns } from '../common/turns.js';
import type { DomainEvent } from '../events/domain-event.js';
import { matchesFilter, typesOf } from '../events/event-filter.js';
import { EventJournal, type CursorPosition } from '../events/event-journal.service.js';
import { EventRelay } from '../events/event-relay.service.js';
import { visibleSubjects } from '../events/visibility.js';
import { EventBatch, EventFrames } from './frames.js';
import { hasFilterFor, type RealtimeConnection } from './realtime-connection.js';
import { RealtimeMetrics, type ReplayOutcome } from './realtime-metrics.service.js';

const PAGE = 200;
/** How long pages may keep everything else in the process waiting, in ms. */
const TURN_MS = 5;
/** How many may be read at a time. */
const PAGES_AT_ONCE = 8;

/** What a connection is to be sent again. */
export interface Replay {
  /** Subscribed to anew: everything after the cursor that they let through. */
  filters: readonly string[];
  /** Where the cursor stands, from {@link EventJournal.locate}. */
  position: CursorPosition;
  /** What it was subscribed to before: goes on from where it was. */
  before: ReadonlyMap<string, number>;
  /** The `seq` up to which it has everything of `before`. */
  liveBefore: number;
}

/** What a replay came to. */
export interface ReplayResult {
  count: number;
  complete: boolean;
}

/**
 * Sends connections what they missed, from the journal, until they have come to where the relay is.
 *
 * Live events are not held back meanwhile: the journal has them too. Page by page, each as its client takes it, and in
 * turns, so that thousands who come back at once keep nobody else waiting.
 */
@Injectable()
export class Replays {
  private readonly logger = new Logger(Replays.name);
  private readonly turns = new Turns(TURN_MS, PAGES_AT_ONCE);

  constructor(
    private readonly journal: EventJournal,
    private readonly relay: EventRelay,
    private readonly authenticator: Authenticator,
    private readonly metrics: RealtimeMetrics,
  ) {}

  /**
   * Replays; `onCaughtUp` is called in the very moment in which nothing is missing, so that what the relay delivers next
   * is what comes next.
   *
   * When the journal cannot be read the connection is cut, so that its client comes back instead of missing events.
   */
  async run(connection: RealtimeConnection, replay: Replay, onCaughtUp: (result: ReplayResult) => void): Promise<void> {
    this.metrics.replayed(await this.sendAll(connection, replay, onCaughtUp));
  }

  private async sendAll(
    connection: RealtimeConnection,
    replay: Replay,
    onCaughtUp: (result: ReplayResult) => void,
  ): Promise<ReplayOutcome> {
    const { filters, position, before, liveBefore } = replay;
    const audience = audienceOf(connection);
    // What the connection is subscribed to already goes on from where it is, also if the cursor is ahead of that.
    let at = before.size > 0 ? Math.min(position.afterSeq, liveBefore) : position.afterSeq;
    let count = 0;
    const page = async (): Promise<boolean> => {
      const { events, through } = await this.read(connection, at);
      at = through;
      const due = events.filter((event) => isDue(event, replay)).map((event) => EventFrames.of(event));
      if (due.length > 0) connection.send(new EventBatch(due));
      count += due.length;
      if (events.length === PAGE || at < this.relay.position) return false;
      connection.liveFrom = at;
      // Now these reach back as far as the cursor; to who sees more or less than before, what came before is another thing.
      for (const filter of filters)
        connection.filters.set(filter, Math.min(position.afterSeq, before.get(filter) ?? at));
      if (audienceOf(connection) !== audience)
        for (const filter of connection.filters.keys()) connection.filters.set(filter, at);
      onCaughtUp({ count, complete: position.complete });
      return true;
    };
    try {
      while (!connection.isOver) {
        if (await this.turns.run(page)) return position.complete ? 'complete' : 'gap';
        await connection.flushed();
      }
      return 'left';
    } catch (error) {
      this.logger.error({ msg: 'a replay failed', err: error });
      connection.destroy();
      return 'failed';
    }
  }

  /** Reads the next page, and says up to where that is all. */
  private async read(
    connection: RealtimeConnection,
    afterSeq: number,
  ): Promise<{ events: DomainEvent[]; through: number }> {
    const throughSeq = await this.journal.head();
    // After the head: an event that came with a change of role, or later, is judged by the new one.
    const subjects = visibleSubjects(await this.currentPrincipal(connection));
    const types = typesOf(connection.filters.keys());
    const events = await this.journal.read({ afterSeq, throughSeq, types, subjects, limit: PAGE });
    const last = events.length === PAGE ? events.at(-1) : undefined;
    return { events, through: last?.seq ?? Math.max(afterSeq, throughSeq) };
  }

  /** Brings what a connection may see up to date. */
  private async currentPrincipal(connection: RealtimeConnection): Promise<Principal> {
    const { principal } = connection;
    if (!principal) throw new TypeError('Nothing is replayed before authentication');
    const current = await this.authenticator.refresh(principal);
    // The connection may have been given a fresher token meanwhile, of the same account.
    const latest = connection.principal ?? principal;
    if (current) Object.assign(latest, { email: current.email, role: current.role });
    return latest;
  }
}

/** Says whether an event of the journal is still to be sent. */
function isDue({ seq, type }: DomainEvent, { filters, position, before, liveBefore }: Replay): boolean {
  if (hasFilterFor(before, type, seq)) return seq > liveBefore;
  return seq > position.afterSeq && filters.some((filter) => matchesFilter(filter, type));
}

/** What a connection may see, to be compared. */
function audienceOf({ principal }: RealtimeConnection): string | undefined {
  return principal && visibleSubjects(principal)?.join('\n');
}
