import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { CurrentPrincipal, type Principal } from '../common/principal.js';
import type { Session } from './session.entity.js';
import { SessionsService } from './sessions.service.js';

/** A session as its owner sees it; times in epoch ms. */
type SessionView = Pick<Session, 'id' | 'ip' | 'userAgent' | 'createdAt' | 'lastUsedAt' | 'expiresAt'> & {
  /** Whether it is the one that asks. */
  current: boolean;
};

/** The caller's own open sessions. */
@Controller('users/me/sessions')
export class MySessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Get()
  async list(@CurrentPrincipal() { userId, sessionId }: Principal): Promise<{ sessions: SessionView[] }> {
    const sessions = await this.sessions.list(userId);
    return {
      sessions: sessions.map(({ id, ip, userAgent, createdAt, lastUsedAt, expiresAt }) => {
        return { id, ip, userAgent, createdAt, lastUsedAt, expiresAt, current: id === sessionId };
      }),
    };
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
