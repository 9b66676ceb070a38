import { z } from 'zod';

/** A time in epoch milliseconds. */
export const epochMs = z
  .int()
  .min(0)
  .meta({ description: 'Epoch milliseconds.', examples: [1_795_602_246_949] });

/** A number of things. */
export const count = z
  .int()
  .min(0)
  .meta({ examples: [3] });

/** The id of anything but an event. */
export const uuid = z.uuid().meta({ examples: ['01a20d15-8f2c-7a41-b6d3-0c9e5f7a1b24'] });

/** The id of an account. */
export const userId = z
  .uuid()
  .meta({ description: 'The id of an account.', examples: ['01a20d14-3b7e-7c05-9a1d-4e6f8b2c0d13'] });

/** An email address as it is stored. */
export const email = z.email().meta({ examples: ['ada@example.com'] });

/** An address of the Internet Protocol; null where it is not known. */
export const ipAddress = z
  .string()
  .nullable()
  .meta({ examples: ['203.0.113.7'] });

/** What a client calls itself; null where it is not known. */
export const userAgent = z
  .string()
  .nullable()
  .meta({ examples: ['Mozilla/5.0'] });

/** An answer that says what happened, and nothing else. */
export const messageView = z
  .strictObject({ message: z.string().meta({ examples: ['The email address is verified'] }) })
  .meta({ id: 'Message' });

/** One particular of an error. */
export const errorDetail = z
  .strictObject({
    field: z.string().optional().meta({ description: 'What is wrong, in the body, the query or the message.' }),
    code: z.string().optional().meta({ description: 'For programs: `NOUN_REASON`.' }),
    message: z.string(),
  })
  .meta({ id: 'ErrorDetail' });
