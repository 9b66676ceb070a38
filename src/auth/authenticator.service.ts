import { Injectable } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import type { Principal } from '../common/principal.js';
import { ApiKeyLookup } from '../users/api-key-lookup.js';
import { SessionsService, type EndedSessions } from '../users/sessions.service.js';
import { StreamTickets } from './stream-tickets.service.js';
import { AccessTokensService } from './access-tokens.service.js';

/** Answers "who is this?" for REST, WebSocket and SSE alike. */
@Injectable()
export class Authenticator {
  constructor(
    private readonly tokens: AccessTokensService,
    private readonly sessions: SessionsService,
    private readonly keys: ApiKeyLookup,
    private readonly tickets: StreamTickets,
  ) {}

  /**
   * Returns the principal of an access token.
   *
   * Asks the database whether the session is still going on, so that a logout, a deletion or a ban works at once.
   *
   * @throws AppError UNAUTHORIZED
   */
  async authenticate(accessToken: string): Promise<Principal> {
    const { userId, sessionId, expiresAt } = this.tokens.verify(accessToken);
    const owner = await this.sessions.findOwner(sessionId);
    if (owner?.userId !== userId) throw new AppError('UNAUTHORIZED', 'The session has ended');
    return { ...owner, expiresAt };
  }

  /** Returns the principal of an API key. @throws AppError UNAUTHORIZED, RATE_LIMITED */
  async authenticateKey(rawKey: string): Promise<Principal> {
    const principal = await this.keys.byKey(rawKey);
    if (!principal) throw new AppError('UNAUTHORIZED', 'The API key is not valid, has expired or was revoked');
    return principal;
  }

  /** Returns the principal that a ticket stands for, and uses the ticket up. @throws AppError UNAUTHORIZED */
  async authenticateTicket(ticket: string): Promise<Principal> {
    const holder = await this.tickets.redeem(ticket);
    const { sessionId, isKey, principalExpiresAt } = holder ?? {};
    const principal =
      sessionId !== undefined && (isKey ? await this.keys.byId(sessionId) : await this.sessions.findOwner(sessionId));
    if (!principal || Number(principalExpiresAt) <= Date.now()) {
      throw new AppError('UNAUTHORIZED', 'The ticket is not valid, has expired or was used');
    }
    return { ...principal, expiresAt: Number(principalExpiresAt) };
  }

  /** Returns a principal as it is now, or undefined when its session or its key has ended. */
  async refresh(principal: Principal): Promise<Principal | undefined> {
    if (principal.scopes) return this.keys.byId(principal.sessionId);
    const owner = await this.sessions.findOwner(principal.sessionId);
    return owner && { ...owner, expiresAt: principal.expiresAt };
  }

  /** Calls `listener` after every commit that ended sessions. */
  onSessionsEnded(listener: (ended: EndedSessions) => void): void {
    this.sessions.onEnded(listener);
  }

  /** Calls `listener` when sessions may have ended without anybody here having heard of it. */
  onSessionsMissed(listener: () => void): void {
    this.sessions.onMissed(listener);
  }
}
