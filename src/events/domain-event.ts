import { v7 as uuidv7 } from 'uuid';
import { definitionOf, type EventDefinition, type EventPayload, type EventType } from './catalogue.js';

/** The envelope of an event: the same four fields on every channel. */
export interface EventEnvelope<T extends EventType = EventType> {
  /** `evt-` and a UUIDv7 (RFC 9562 §5.7): the one cursor of the whole system. */
  id: string;
  type: T;
  /** ISO 8601 in UTC, with milliseconds. */
  timestamp: string;
  payload: EventPayload<T>;
}

/** How an act ended. */
export type Outcome = 'success' | 'failure';

/** Where an event came from; every field is null for what the service did by itself. */
export interface EventOrigin {
  requestId: string | null;
  actorId: string | null;
  sessionId: string | null;
  ip: string | null;
  userAgent: string | null;
}

/**
 * An event as it stands in the journal: the envelope, whom it is about, where it came from, and its place.
 *
 * Without a type it is the union of all events, so that comparing `type` tells what `payload` holds.
 */
export type DomainEvent<T extends EventType = EventType> = { [K in T]: EventEnvelope<K> & EventRecord }[T];

interface EventRecord {
  /** Position in the journal: a later commit has a higher one. Never shown to clients, who use `id`. */
  seq: number;
  /** The user id or email address the event is about; `everyone`, or empty for admins alone. */
  subject: string;
  origin: EventOrigin;
}

/** What the journal is given to keep, beside where it came from. */
export interface JournalEntry {
  id: string;
  type: string;
  timestamp: string;
  payload: Record<string, unknown>;
  subject: string;
  /** Whether readers of events are told. */
  published: boolean;
  outcome: Outcome;
  /** What only the audit trail says. */
  details: Record<string, unknown> | null;
}

/**
 * Makes the envelope, the subject and the outcome of a new event.
 *
 * @throws TypeError for a type the catalogue does not have, or a payload that is not exactly its type's.
 */
export function createEvent<T extends EventType>(
  type: T,
  payload: EventPayload<T>,
  now: number,
): { envelope: EventEnvelope<T>; subject: string; outcome: Outcome } {
  const definition = definitionOf(type);
  if (!definition) throw new TypeError(`"${type}" is not in the event catalogue`);
  const parsed = definition.payload.safeParse(payload);
  if (!parsed.success) {
    // Only where and what kind: the values themselves may be personal.
    const mistakes = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.code}`);
    throw new TypeError(`The payload of "${type}" is not valid (${mistakes.join(', ')})`);
  }
  const data = parsed.data as EventPayload<T>;
  const envelope = { id: `evt-${uuidv7()}`, type, timestamp: new Date(now).toISOString(), payload: data };
  return { envelope, subject: subjectOf(definition, data), outcome: definition.outcome ?? 'success' };
}

/** Whom an event is about; nobody's subject is empty, so an event of admins alone is about that. */
function subjectOf({ subject }: EventDefinition, payload: object): string {
  if (typeof subject === 'function') return subject(payload as never) ?? '';
  return (payload as Record<typeof subject, string>)[subject];
}
