import { z } from 'zod';
import { definitionOf, eventTypes, type EventDefinition, type EventType } from './catalogue.js';
import type { EventEnvelope } from './domain-event.js';

/** The id of an event, and a cursor everywhere: `evt-` and a UUIDv7 (RFC 9562 §5.7). */
export const eventId = z
  .string()
  .regex(/^evt-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  .meta({ description: 'The id of an event, and a cursor.', examples: ['evt-01a20d15-9125-730d-a06d-4c865def98b5'] });

/** The id of a row of the audit trail: an event's, or that of an act that is none, which begins with `act-`. */
export const rowId = z
  .string()
  .regex(/^(evt|act)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  .meta({ description: 'The id of an event, or of an act.', examples: ['evt-01a20d15-9125-730d-a06d-4c865def98b5'] });

/** A time as events have it: ISO 8601 in UTC, with milliseconds. */
export const timestamp = z.iso
  .datetime({ precision: 3 })
  .meta({ description: 'ISO 8601 in UTC, with milliseconds.', examples: ['2026-11-24T10:24:06.949Z'] });

const envelopes = new WeakMap<EventDefinition, z.ZodObject>();

/** Returns the schema of one type's events, as every channel sends them. */
export function envelopeOf(type: EventType): z.ZodObject {
  const definition = definitionOf(type) as EventDefinition;
  let schema = envelopes.get(definition);
  if (!schema) {
    const { description, payload } = definition;
    schema = z
      .strictObject({ id: eventId, type: z.literal(type), timestamp, payload })
      .meta({ id: `Event.${type}`, description });
    envelopes.set(definition, schema);
  }
  return schema;
}

/** Returns the schema of any event of this process: the catalogue's, and those of extensions. */
export function anyEvent(): z.ZodType<EventEnvelope> {
  return z.union(eventTypes().map(envelopeOf)) as unknown as z.ZodType<EventEnvelope>;
}

/**
 * Returns the schema of any event in the journal, which also keeps what an extension published that was taken out since.
 */
export function loggedEvent(): z.ZodType<EventEnvelope> {
  const type = z.string().meta({ not: { enum: eventTypes() } });
  const other = z
    .strictObject({ id: eventId, type, timestamp, payload: z.record(z.string(), z.unknown()) })
    .meta({ description: 'An event of an extension that was taken out.' });
  return z.union([...eventTypes().map(envelopeOf), other]) as unknown as z.ZodType<EventEnvelope>;
}
