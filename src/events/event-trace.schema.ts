import { z } from 'zod';
import { ipAddress, userAgent } from '../common/fields.js';
import { eventId, timestamp } from './event.schemas.js';

const nullableId = z
  .string()
  .nullable()
  .meta({ examples: ['01a20d14-3b7e-7c05-9a1d-4e6f8b2c0d13'] });

/** What another room knows. This one knows no feature: each adds a list under its name. */
const part: z.ZodType = z
  .array(z.record(z.string(), z.unknown()))
  .meta({ description: 'What another room knows, under its name.' });

/** The life of one event, from the request that caused it to the last thing that came of it. */
export const eventTrace = z
  .strictObject({
    event: z.strictObject({
      id: eventId,
      type: z.string().meta({ examples: ['user.registered'] }),
      timestamp,
      payload: z
        .record(z.string(), z.unknown())
        .meta({ examples: [{ userId: '01a20d14-3b7e-7c05-9a1d-4e6f8b2c0d13' }] }),
    }),
    request: z
      .strictObject({ requestId: nullableId, actorId: nullableId, sessionId: nullableId, ip: ipAddress, userAgent })
      .nullable()
      .meta({ description: 'Null where it is somebody else’s and the viewer no admin.' }),
    commit: z.strictObject({
      outcome: z.enum(['success', 'failure']),
      hash: z
        .string()
        .nullable()
        .meta({ examples: ['6XwI0mZ3t8Qk1sYb7Vn4pRcD2hFgJ5LaE9uToKyNxWs'] }),
    }),
    readers: z
      .array(
        z.strictObject({
          name: z.string().meta({ examples: ['webhooks'] }),
          status: z.enum(['done', 'waiting', 'began later']),
        }),
      )
      .optional(),
  })
  .catchall(part)
  .meta({ id: 'EventTrace' });
/** The life of one event, from the request that caused it to the last thing that came of it. */
export type EventTrace = z.infer<typeof eventTrace>;
