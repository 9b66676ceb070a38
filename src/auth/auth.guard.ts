import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../common/app-error.js';
import {
  ALLOWED_SCOPE,
  PUBLIC_ROUTE,
  ROLES,
  TOKEN_IN_QUERY,
  type AuthenticatedRequest,
  type Principal,
  type Role,
  type Scope,
} from '../common/principal.js';
import { currentRequestContext } from '../common/request-context.js';
import { Authenticator } from './authenticator.service.js';

/** Lets only authenticated callers of the right role through, except on routes marked `@Public()`. Guards every REST route. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // The gateway has a guard of its own: there a connection authenticates once, not every message.
    if (context.getType() !== 'http') return true;
    const targets = [context.getHandler(), context.getClass()];
    const marked = (key: symbol) => this.reflector.getAllAndOverride<boolean | undefined>(key, targets) === true;
    if (marked(PUBLIC_ROUTE)) return true;
    const request = context.switchToHttp().getRequest<FastifyRequest & AuthenticatedRequest>();
    request.principal = await this.authenticate(request, marked(TOKEN_IN_QUERY));
    const origin = currentRequestContext();
    if (origin) {
      origin.actorId = request.principal.userId;
      origin.sessionId = request.principal.sessionId;
    }
    const { scopes } = request.principal;
    const scope = this.reflector.getAllAndOverride<Scope | undefined>(ALLOWED_SCOPE, targets);
    if (scopes && (scope === undefined || !scopes.includes(scope))) {
      const message = scope === undefined ? 'No API key may do this' : `The API key needs the scope ${scope}`;
      throw new AppError('FORBIDDEN', message, [{ code: 'SCOPE_MISSING', message }]);
    }
    const roles = this.reflector.getAllAndOverride<Role[] | undefined>(ROLES, targets);
    if (roles && !roles.includes(request.principal.role)) throw new AppError('FORBIDDEN', 'Not allowed');
    return true;
  }

  /** By access token, ticket or API key; a request that brings several is the first one's. */
  private async authenticate(request: FastifyRequest, tokenInQuery: boolean): Promise<Principal> {
    const token = bearerToken(request) ?? (tokenInQuery ? fromQuery(request, 'token') : undefined);
    if (token !== undefined) return this.authenticator.authenticate(token);
    const ticket = tokenInQuery ? fromQuery(request, 'ticket') : undefined;
    if (ticket !== undefined) return this.authenticator.authenticateTicket(ticket);
    const key = apiKey(request);
    if (key !== undefined) return this.authenticator.authenticateKey(key);
    throw new AppError('UNAUTHORIZED', 'Authentication required');
  }
}

/** Reads `X-API-Key`. */
function apiKey({ headers }: FastifyRequest): string | undefined {
  const key = headers['x-api-key'];
  return typeof key === 'string' ? key : undefined;
}

/** Reads `Authorization: Bearer <token>` (RFC 6750 §2.1). */
function bearerToken({ headers }: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

function fromQuery({ query }: FastifyRequest, name: 'token' | 'ticket'): string | undefined {
  const value = (query as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
}
