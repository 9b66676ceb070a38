import { z } from 'zod';
import { HTTP_STATUS, type ErrorCode } from '../common/app-error.js';
import { count, epochMs, errorDetail, userId } from '../common/fields.js';
import { anyEvent, eventId } from '../events/event.schemas.js';

const requestId = z
  .string()
  .max(128)
  .optional()
  .meta({ description: 'Of the client’s choice: the answer repeats it.', examples: ['1'] });
const secret = z.string().min(1).optional();
const events = z
  .array(z.string())
  .min(1)
  .max(1000)
  .meta({
    description: 'Types of events; `prefix.*` or `*` for several.',
    examples: [['user.registered', 'login.failed']],
  });

/** What a client may send; unknown fields are ignored. */
export const clientMessages = {
  auth: z
    .object({ type: z.literal('auth'), requestId, token: secret, apiKey: secret, ticket: secret })
    .refine(
      ({ token, apiKey, ticket }) => [token, apiKey, ticket].filter((given) => given !== undefined).length === 1,
      {
        path: ['token'],
        error: 'give one of "token", "apiKey" and "ticket"',
      },
    )
    .meta({
      description:
        'Says who the client is: before anything else, and again before its token expires. One of the three.',
      examples: [{ type: 'auth', token: 'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl' }],
    }),
  subscribe: z
    .object({
      type: z.literal('subscribe'),
      requestId,
      events,
      lastEventId: z
        .string()
        .optional()
        .meta({ ...eventId.meta(), description: 'Replays what happened after this event.' }),
    })
    .meta({ description: 'Asks for events: what comes, and what happened since one.' }),
  unsubscribe: z.object({ type: z.literal('unsubscribe'), requestId, events }).meta({ description: 'Asks for less.' }),
  ping: z.object({ type: z.literal('ping'), requestId }).meta({ description: 'Asks whether the service is there.' }),
};

/** A client message of one type, checked. */
export type ClientMessage<T extends keyof typeof clientMessages> = z.infer<(typeof clientMessages)[T]>;

/** What the service sends beside events. */
export const serverMessages = {
  authAccepted: z
    .strictObject({ type: z.literal('auth'), ok: z.literal(true), userId, requestId })
    .meta({ description: 'The client is known now.' }),
  authRefused: z
    .strictObject({ type: z.literal('auth'), ok: z.literal(false), requestId })
    .meta({ description: 'The token, key or ticket is not valid, or may not read events.' }),
  authExpiring: z
    .strictObject({ type: z.literal('auth'), expiring: z.literal(true), expiresAt: epochMs })
    .meta({ description: 'The token expires soon: a new `auth` goes on without a gap.' }),
  subscribed: z
    .strictObject({ type: z.literal('subscribed'), events: z.array(z.string()).meta(events.meta() ?? {}), requestId })
    .meta({ description: 'All filters of the connection.' }),
  replayed: z
    .strictObject({
      type: z.literal('replayed'),
      count,
      complete: z
        .boolean()
        .meta({ description: 'False where events are older than the log’s retention.', examples: [true] }),
      requestId,
    })
    .meta({ description: 'The replay is through; what follows is live.' }),
  pong: z.strictObject({ type: z.literal('pong'), requestId }).meta({ description: 'The service is there.' }),
  error: z
    .strictObject({
      type: z.literal('error'),
      code: z.enum(Object.keys(HTTP_STATUS) as [ErrorCode, ...ErrorCode[]]).meta({
        description: 'The code that the REST API has for it.',
        examples: ['UNAUTHORIZED'],
      }),
      message: z.string().meta({ examples: ['Authentication required'] }),
      details: z
        .array(errorDetail)
        .optional()
        .meta({ description: 'The particulars that have a code of their own, such as `CURSOR_UNKNOWN`.' }),
      requestId,
    })
    .meta({ description: 'What is wrong with a message, and how to mend it.' }),
};

/** A message of the service that is no event. */
export type ServerMessage = {
  [K in keyof typeof serverMessages]: z.infer<(typeof serverMessages)[K]>;
}[keyof typeof serverMessages];

/** Returns the schema of the message that an event travels in. */
export function eventMessage() {
  return z.strictObject({ type: z.literal('event'), event: anyEvent() }).meta({ description: 'An event.' });
}

/** Returns the `requestId` to echo, as a field to spread, if the message carries a usable one. */
export function requestIdOf(message: unknown): { requestId?: string } {
  const parsed = z.object({ requestId: z.string().max(128) }).safeParse(message);
  return parsed.success ? parsed.data : {};
}
