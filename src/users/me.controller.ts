import { Body, Controller, Delete, Get, HttpCode, Patch } from '@nestjs/common';
import { z } from 'zod';
import { AllowScope, CurrentPrincipal, type Principal } from '../common/principal.js';
import { emailSchema, passwordSchema } from './credentials.schema.js';
import { UsersService, type Profile } from './users.service.js';

const changes = z
  .strictObject({
    email: emailSchema.optional(),
    password: passwordSchema.optional(),
    currentPassword: passwordSchema.optional(),
  })
  .refine(({ email, password }) => email !== undefined || password !== undefined, 'names neither email nor password');

/** The caller's own account. */
@Controller('users/me')
export class MeController {
  constructor(private readonly users: UsersService) {}

  @AllowScope('users:read')
  @Get()
  read(@CurrentPrincipal() { userId }: Principal): Promise<Profile> {
    return this.users.profile(userId);
  }

  @Patch()
  async change(
    @CurrentPrincipal() { userId, sessionId }: Principal,
    @Body({ schema: changes }) body: z.infer<typeof changes>,
  ): Promise<Profile> {
    await this.users.changeOwn(userId, sessionId, body);
    return this.users.profile(userId);
  }

  @Delete()
  @HttpCode(204)
  async delete(@CurrentPrincipal() { userId }: Principal): Promise<void> {
    await this.users.delete(userId);
  }
}
