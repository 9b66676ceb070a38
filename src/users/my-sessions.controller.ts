import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { CurrentPrincipal, type Principal } from '../common/principal.js';
import { toSessionView, type SessionView } from './session-view.js';
import { SessionsService } from './sessions.service.js';

/** The caller's own open sessions. */
@Controller('users/me/sessions')
export class MySessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Get()
  async list(
    @CurrentPrincipal() { userId, sessionId }: Principal,
  ): Promise<{ sessions: (SessionView & { current: boolean })[] }> {
    const sessions = await this.sessions.list(userId);
    return { sessions: sessions.map((session) => ({ ...toSessionView(session), current: session.id === sessionId })) };
  }

  /** Ends every session but the one that asks. */
  @Delete()
  @HttpCode(204)
  async endOthers(@CurrentPrincipal() { userId, sessionId }: Principal): Promise<void> {
    await this.sessions.endOthers(userId, sessionId);
  }

  @Delete(':id')
  @HttpCode(204)
  async end(@CurrentPrincipal() { userId }: Principal, @Param('id') id: string): Promise<void> {
    await this.sessions.endOwn(userId, id);
  }
}
