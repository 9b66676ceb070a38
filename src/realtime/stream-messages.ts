import { z } from 'zod';
import { epochMs } from '../common/fields.js';
import { definitionOf, type EventDefinition, type EventType } from '../events/catalogue.js';
import { eventId, timestamp } from '../events/event.schemas.js';
import { END_REASONS } from './realtime-connection.js';

/** The data of the blocks that are no events; they carry no id, so they leave a browser's last event id alone. */
export const streamSignals = {
  'stream.gap': z
    .strictObject({ lastEventId: eventId })
    .meta({ description: 'Events after this one are older than the log’s retention, and missing.' }),
  'stream.expiring': z
    .strictObject({ expiresAt: epochMs })
    .meta({ description: 'The token expires soon: open another stream with a new one.' }),
  'stream.end': z
    .strictObject({
      reason: z.enum(END_REASONS),
      reconnect: z.boolean().meta({ description: 'Whether coming back as it was makes sense.' }),
    })
    .meta({ description: 'The last block, before the stream closes.' }),
};

/** The name of a block that is no event. */
export type StreamSignal = keyof typeof streamSignals;

/** Returns the schema of the data of one type's events. */
export function streamData(type: EventType): z.ZodObject {
  const { description, payload } = definitionOf(type) as EventDefinition;
  return z.strictObject({ type: z.literal(type), timestamp, payload }).meta({ description });
}
