import { z } from 'zod';

/** An email address, trimmed and lower case; at most 254 characters (RFC 5321 §4.5.3.1.3). */
export const emailSchema = z
  .string()
  .trim()
  .toLowerCase()
  .max(254, 'is longer than 254 characters')
  .pipe(z.email('is not an email address'))
  .meta({ description: 'An email address; upper case makes no difference.', examples: ['ada@example.com'] });

/** A password as text of any length the body limit allows; what a new one must be like is the password policy's. */
export const passwordSchema = z
  .string()
  .min(1, 'must not be empty')
  .meta({ examples: ['Correct-horse-1'] });
