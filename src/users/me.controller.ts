import { Body, Controller, Delete, Get, HttpCode, Patch } from '@nestjs/common';
import { z } from 'zod';
import { AllowScope, CurrentPrincipal, type Principal } from '../common/principal.js';
import { emailSchema, passwordSchema } from './credentials.schema.js';
import type { User } from './user.entity.js';
import { UsersService } from './users.service.js';

const changes = z
  .strictObject({
    email: emailSchema.optional(),
    password: passwordSchema.optional(),
    currentPassword: passwordSchema.optional(),
  })
  .refine(({ email, password }) => email !== undefined || password !== undefined, 'names neither email nor password');

/** What an account's owner sees of it. Times are epoch milliseconds. */
type Profile = Pick<User, 'id' | 'email' | 'role' | 'emailVerified' | 'mfaEnabled' | 'createdAt' | 'updatedAt'>;

/** The caller's own account. */
@Controller('users/me')
export class MeController {
  constructor(private readonly users: UsersService) {}

  @AllowScope('users:read')
  @Get()
  async read(@CurrentPrincipal() { userId }: Principal): Promise<Profile> {
    return toProfile(await this.users.get(userId));
  }

  @Patch()
  async change(
    @CurrentPrincipal() { userId, sessionId }: Principal,
    @Body({ schema: changes }) body: z.infer<typeof changes>,
  ): Promise<Profile> {
    return toProfile(await this.users.changeOwn(userId, sessionId, body));
  }

  @Delete()
  @HttpCode(204)
  async delete(@CurrentPrincipal() { userId }: Principal): Promise<void> {
    await this.users.delete(userId);
  }
}

function toProfile({ id, email, role, emailVerified, mfaEnabled, createdAt, updatedAt }: User): Profile {
  return { id, email, role, emailVerified, mfaEnabled, createdAt, updatedAt };
}
