import { z } from 'zod';
import { emailSchema, passwordSchema } from '../users/credentials.schema.js';

const refreshToken = z
  .string()
  .min(1)
  .max(512)
  .meta({ description: 'Works once.', examples: ['mJ1xYc7Zq0tW4vB9nL2kS8dF5hG3pR6aE0uI7oT1yXw'] });
const mfaToken = z
  .string()
  .min(1)
  .max(2048)
  .meta({ description: 'From the answer of the login.', examples: ['eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl'] });
const mailedToken = z
  .string()
  .min(1)
  .max(512)
  .meta({ description: 'From the link in the mail.', examples: ['Vb3sKq9tXw2yZ5nP8rL1mC4dF7hJ0gT6uA9eI2oS5kQ'] });

export const credentials = z.strictObject({ email: emailSchema, password: passwordSchema });
export const mfaBody = z.strictObject({
  mfaToken,
  code: z
    .string()
    .min(1)
    .max(32)
    .meta({ description: 'From the authenticator app, or a recovery code.', examples: ['492039'] }),
});
export const verifyBody = z.strictObject({ token: mailedToken });
export const forgotBody = z.strictObject({ email: emailSchema });
export const resetBody = z.strictObject({ token: mailedToken, password: passwordSchema });
export const refreshBody = z.strictObject({ refreshToken });

/** What a completed login, registration or refresh answers with. */
export const tokenPair = z
  .strictObject({
    accessToken: z
      .string()
      .meta({ description: 'A JWT for `Authorization: Bearer`.', examples: ['eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl'] }),
    refreshToken,
  })
  .meta({ id: 'TokenPair' });
/** What a completed login, registration or refresh answers with. */
export type TokenPair = z.infer<typeof tokenPair>;

/** What a login with the right password answers with while the second factor is missing. */
const mfaRequired = z.strictObject({ mfaRequired: z.literal(true), mfaToken }).meta({ id: 'MfaRequired' });

/** What a login answers with. */
export const loginAnswer = z.union([tokenPair, mfaRequired]);
/** What a login answers with. */
export type LoginAnswer = z.infer<typeof loginAnswer>;
