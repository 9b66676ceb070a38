import { z } from 'zod';
import { epochMs } from '../common/fields.js';
import { pageOf, pageQuery } from '../common/pagination.js';
import { emailSchema, passwordSchema } from '../users/credentials.schema.js';
import { profileView, roleSchema } from '../users/profile.schema.js';

export const listQuery = z.strictObject({
  search: z
    .string()
    .min(1)
    .max(254)
    .optional()
    .meta({ description: 'A part of the address.', examples: ['ada'] }),
  role: roleSchema.optional().meta({ examples: ['user'] }),
  ...pageQuery,
});
export const createBody = z.strictObject({
  email: emailSchema,
  password: passwordSchema,
  role: roleSchema.default('user'),
});
export const roleBody = z.strictObject({ role: roleSchema.meta({ examples: ['admin'] }) });
const reason = z
  .string()
  .min(1)
  .max(500)
  .meta({ examples: ['Spam'] });
export const banBody = z.strictObject({ reason });

/** An account as admins see it. */
export const accountView = profileView
  .extend({
    status: z.enum(['active', 'banned']),
    bannedAt: epochMs
      .nullable()
      .meta({ description: 'Since when it is banned; null while it is not.', examples: [null] }),
    banReason: z
      .string()
      .nullable()
      .meta({ examples: [null] }),
    lockedUntil: epochMs.nullable().meta({
      description: 'Until when logins are refused after too many failures; null without a lock.',
      examples: [null],
    }),
  })
  .meta({ id: 'Account' });
/** An account as admins see it. */
export type AccountView = z.infer<typeof accountView>;

export const accountPage = pageOf(accountView).extend({
  total: z
    .int()
    .min(0)
    .meta({ examples: [1] }),
});
