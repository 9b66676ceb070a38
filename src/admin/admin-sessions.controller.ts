import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { z } from 'zod';
import { Documented } from '../common/documented.js';
import { userId as accountId, uuid } from '../common/fields.js';
import { AllowScope, Roles } from '../common/principal.js';
import { sessionView, toSessionView } from '../users/session-view.js';
import { SessionsService } from '../users/sessions.service.js';
import { UsersService } from '../users/users.service.js';

const sessionsAnswer = z.strictObject({ sessions: z.array(sessionView) });

/** Other people's open sessions, for admins. */
@Roles('admin')
@AllowScope('users:manage')
@Controller('admin/users/:userId/sessions')
export class AdminSessionsController {
  constructor(
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
  ) {}

  @AllowScope('users:read')
  @Get()
  @Documented({
    summary: 'List the open sessions of an account',
    params: { userId: accountId },
    answer: sessionsAnswer,
  })
  async list(@Param('userId') userId: string): Promise<z.infer<typeof sessionsAnswer>> {
    const { id } = await this.users.get(userId);
    return { sessions: (await this.sessions.list(id)).map(toSessionView) };
  }

  /** Ends every one of them. */
  @Delete()
  @HttpCode(204)
  @Documented({ summary: 'End every session of an account', params: { userId: accountId } })
  async endAll(@Param('userId') userId: string): Promise<void> {
    const { id } = await this.users.get(userId);
    await this.sessions.endByAdmin(id);
  }

  @Delete(':id')
  @HttpCode(204)
  @Documented({ summary: 'End a session of an account', params: { userId: accountId, id: uuid } })
  async end(@Param('userId') userId: string, @Param('id') id: string): Promise<void> {
    await this.sessions.endByAdmin(userId, id);
  }
}
