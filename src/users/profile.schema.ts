import { z } from 'zod';
import { email, epochMs, userId } from '../common/fields.js';
import { ROLE_NAMES } from '../common/principal.js';

/** The role of an account. */
export const roleSchema = z
  .enum(ROLE_NAMES)
  .meta({ id: 'Role', description: '`admin` sees and manages everything, `user` only what is its own.' });

/** What an account's owner sees of it. */
export const profileView = z
  .strictObject({
    id: userId,
    email,
    role: roleSchema,
    emailVerified: z.boolean(),
    mfaEnabled: z.boolean().meta({ description: 'Whether a login asks for a second factor.' }),
    createdAt: epochMs,
    updatedAt: epochMs,
  })
  .meta({ id: 'Profile' });

/** What an account's owner sees of it. */
export type Profile = z.infer<typeof profileView>;
