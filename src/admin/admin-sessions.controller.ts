import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { AllowScope, Roles } from '../common/principal.js';
import { toSessionView, type SessionView } from '../users/session-view.js';
import { SessionsService } from '../users/sessions.service.js';
import { UsersService } from '../users/users.service.js';

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
  async list(@Param('userId') userId: string): Promise<{ sessions: SessionView[] }> {
    const { id } = await this.users.get(userId);
    return { sessions: (await this.sessions.list(id)).map(toSessionView) };
  }

  /** Ends every one of them. */
  @Delete()
  @HttpCode(204)
  async endAll(@Param('userId') userId: string): Promise<void> {
    const { id } = await this.users.get(userId);
    await this.sessions.endByAdmin(id);
  }

  @Delete(':id')
  @HttpCode(204)
  async end(@Param('userId') userId: string, @Param('id') id: string): Promise<void> {
    await this.sessions.endByAdmin(userId, id);
  }
}
