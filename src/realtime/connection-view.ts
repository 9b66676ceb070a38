import { z } from 'zod';
import { email, epochMs, ipAddress, userId, uuid } from '../common/fields.js';
import { eventId } from '../events/event.schemas.js';

/** A live connection as admins see it. */
const connectionView = z
  .strictObject({
    id: uuid,
    transport: z.enum(['websocket', 'sse']),
    ip: ipAddress,
    userId: userId.nullable().meta({ description: 'Null before it has authenticated.' }),
    email: email.nullable().meta({ description: 'The address of its account.' }),
    sessionId: uuid.nullable().meta({ description: 'Its session, or its API key.' }),
    connectedAt: epochMs,
    events: z.array(z.string()).meta({ description: 'Its filters.', examples: [['login.*']] }),
    bufferedBytes: z
      .int()
      .min(0)
      .meta({ description: 'What waits to be sent.', examples: [0] }),
    lastEventId: eventId.nullable().meta({ description: 'The last event that was sent.' }),
  })
  .meta({ id: 'Connection' });
/** A live connection as admins see it. */
export type ConnectionView = z.infer<typeof connectionView>;

export const connectionsAnswer = z.strictObject({ connections: z.array(connectionView) });
