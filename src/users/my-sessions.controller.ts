import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { z } from 'zod';
import { Documented } from '../common/documented.js';
import { uuid } from '../common/fields.js';
import { CurrentPrincipal, type Principal } from '../common/principal.js';
import { ownSessionView, toSessionView } from './session-view.js';
import { SessionsService } from './sessions.service.js';

const sessionsAnswer = z.strictObject({ sessions: z.array(ownSessionView) });

/** The caller's own open sessions. */
@Controller('users/me/sessions')
export class MySessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Get()
  @Documented({ summary: 'List the own open sessions', answer: sessionsAnswer })
  async list(@CurrentPrincipal() { userId, sessionId }: Principal): Promise<z.infer<typeof sessionsAnswer>> {
    const sessions = await this.sessions.list(userId);
    return { sessions: sessions.map((session) => ({ ...toSessionView(session), current: session.id === sessionId })) };
  }

  /** Ends every session but the one that asks. */
  @Delete()
  @HttpCode(204)
  @Documented({ summary: 'End every session but the one that asks' })
  async endOthers(@CurrentPrincipal() { userId, sessionId }: Principal): Promise<void> {
    await this.sessions.endOthers(userId, sessionId);
  }

  @Delete(':id')
  @HttpCode(204)
  @Documented({ summary: 'End one of the own sessions', params: { id: uuid } })
  async end(@CurrentPrincipal() { userId }: Principal, @Param('id') id: string): Promise<void> {
    await this.sessions.endOwn(userId, id);
  }
}
