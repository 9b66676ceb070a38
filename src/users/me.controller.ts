import { Body, Controller, Delete, Get, HttpCode, Patch } from '@nestjs/common';
import { z } from 'zod';
import { Documented } from '../common/documented.js';
import { AllowScope, CurrentPrincipal, type Principal } from '../common/principal.js';
import { emailSchema, passwordSchema } from './credentials.schema.js';
import { OwnAccount } from './own-account.service.js';
import { profileView, type Profile } from './profile.schema.js';
import { UsersService } from './users.service.js';

const changes = z
  .strictObject({
    email: emailSchema.optional(),
    password: passwordSchema.optional(),
    currentPassword: passwordSchema.optional().meta({ description: 'Needed with `password`.' }),
  })
  .refine(({ email, password }) => email !== undefined || password !== undefined, 'names neither email nor password')
  .meta({
    examples: [{ password: 'Another-horse-2', currentPassword: 'Correct-horse-1' }, { email: 'ada@example.org' }],
  });

/** The caller's own account. */
@Controller('users/me')
export class MeController {
  constructor(
    private readonly users: UsersService,
    private readonly own: OwnAccount,
  ) {}

  @AllowScope('users:read')
  @Get()
  @Documented({ summary: 'Read the own account', answer: profileView })
  read(@CurrentPrincipal() { userId }: Principal): Promise<Profile> {
    return this.users.profile(userId);
  }

  @Patch()
  @Documented({
    summary: 'Change the own email address or password',
    description:
      'A new password ends every other session. A new address has to be verified again; both addresses get a mail.',
    answer: profileView,
    errors: {
      BAD_REQUEST: 'The body is no JSON, or the new password breaks the policy.',
      UNAUTHORIZED: 'The token is not valid, or the current password is wrong.',
      CONFLICT: 'The address is taken.',
    },
  })
  async change(
    @CurrentPrincipal() { userId, sessionId }: Principal,
    @Body({ schema: changes }) body: z.infer<typeof changes>,
  ): Promise<Profile> {
    await this.own.change(userId, sessionId, body);
    return this.users.profile(userId);
  }

  @Delete()
  @HttpCode(204)
  @Documented({
    summary: 'Delete the own account',
    errors: { CONFLICT: 'It is the last admin.' },
  })
  async delete(@CurrentPrincipal() { userId, sessionId }: Principal): Promise<void> {
    await this.own.delete(userId, sessionId);
  }
}
