import { z } from 'zod';

const requestId = z.string().max(128).optional();
const secret = z.string().min(1).optional();
const events = z.array(z.string()).min(1).max(1000);

/** What a client may send; unknown fields are ignored. */
export const clientMessages = {
  auth: z
    .object({ requestId, token: secret, apiKey: secret, ticket: secret })
    .refine(
      ({ token, apiKey, ticket }) => [token, apiKey, ticket].filter((given) => given !== undefined).length === 1,
      {
        path: ['token'],
        error: 'give one of "token", "apiKey" and "ticket"',
      },
    ),
  subscribe: z.object({ requestId, events, lastEventId: z.string().optional() }),
  unsubscribe: z.object({ requestId, events }),
  ping: z.object({ requestId }),
};

/** A client message of one type, checked. */
export type ClientMessage<T extends keyof typeof clientMessages> = z.infer<(typeof clientMessages)[T]>;

/** Returns the `requestId` to echo, as a field to spread, if the message carries a usable one. */
export function requestIdOf(message: unknown): { requestId?: string } {
  const parsed = z.object({ requestId: z.string().max(128) }).safeParse(message);
  return parsed.success ? parsed.data : {};
}
