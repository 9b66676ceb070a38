import { Injectable, Logger } from '@nestjs/common';
import { EventEmitter2 } from '@nestjs/event-emitter';
import { SpanKind } from '@opentelemetry/api';
import { inSpan, rememberCause } from '../telemetry/spans.js';
import { isEventType, type EventPayload, type EventType } from './catalogue.js';
import { createEvent, type DomainEvent, type EventEnvelope } from './domain-event.js';
import { JournalWriter } from './journal-writer.service.js';

/** Receives events live, after their commit, in `seq` order. What it throws is logged and harms nobody else. */
export type EventHandler<T extends EventType = EventType> = (event: DomainEvent<T>) => unknown;

/** Takes a subscription back. */
export type Unsubscribe = () => void;

/** EventEmitter2's wildcard for a name of any depth. */
const EVERYTHING = '**';

/**
 * The backbone: features publish here, readers subscribe here, neither knows the other.
 *
 * `publish` writes the journal; the relay delivers from there after the commit. Delivering on commit instead of on
 * publish prevents two bugs: a reader that acts on a change which then rolls back, and one that looks for a row
 * which is not visible yet.
 *
 * Live delivery is at least once across a crash: up to a second of events may come again, under the same ids.
 */
@Injectable()
export class EventBus {
  private readonly logger = new Logger(EventBus.name);

  constructor(
    private readonly emitter: EventEmitter2,
    private readonly journal: JournalWriter,
  ) {}

  /**
   * Publishes an event with the current unit of work, or in one of its own outside of one.
   *
   * @param details - what only the audit trail says of it.
   * @throws TypeError for an unknown type or a wrong payload.
   */
  async publish<T extends EventType>(
    type: T,
    payload: EventPayload<T>,
    details: Record<string, unknown> | null = null,
  ): Promise<EventEnvelope<T>> {
    const { envelope, ...rest } = createEvent(type, payload, Date.now());
    const attributes = { 'herald.event.type': type, 'herald.event.id': envelope.id };
    return inSpan(`publish ${type}`, { kind: SpanKind.PRODUCER, attributes }, async () => {
      rememberCause(envelope.id);
      await this.journal.append({ ...envelope, ...rest, details, published: true });
      return envelope;
    });
  }

  /** Hands every event of one type to `handler`. */
  subscribe<T extends EventType>(type: T, handler: EventHandler<T>): Unsubscribe {
    if (!isEventType(type)) throw new TypeError(`"${String(type)}" is not in the event catalogue`);
    return this.listen(type, handler as EventHandler);
  }

  /** Hands every event to `handler`. */
  subscribeAll(handler: EventHandler): Unsubscribe {
    return this.listen(EVERYTHING, handler);
  }

  /** Delivers a committed event to everybody who subscribed; the relay alone calls it. */
  deliver(event: DomainEvent): void {
    this.emitter.emit(event.type, event);
  }

  private listen(name: string, handler: EventHandler): Unsubscribe {
    const listener = (event: DomainEvent): void => {
      void (async () => handler(event))().catch((error: unknown) =>
        this.logger.error({ msg: `a subscriber of "${name}" failed`, eventId: event.id, err: error }),
      );
    };
    this.emitter.on(name, listener);
    return () => void this.emitter.off(name, listener);
  }
}
