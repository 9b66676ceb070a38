import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../common/app-error.js';
import { PUBLIC_ROUTE, ROLES, TOKEN_IN_QUERY, type AuthenticatedRequest, type Role } from '../common/principal.js';
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
    const token = bearerToken(request) ?? (marked(TOKEN_IN_QUERY) ? queryToken(request) : undefined);
    if (token === undefined) throw new AppError('UNAUTHORIZED', 'Authentication required');
    request.principal = await this.authenticator.authenticate(token);
    const origin = currentRequestContext();
    if (origin) {
      origin.actorId = request.principal.userId;
      origin.sessionId = request.principal.sessionId;
    }
    const roles = this.reflector.getAllAndOverride<Role[] | undefined>(ROLES, targets);
    if (roles && !roles.includes(request.principal.role)) throw new AppError('FORBIDDEN', 'Not allowed');
    return true;
  }
}

/** Reads `Authorization: Bearer <token>` (RFC 6750 §2.1). */
function bearerToken({ headers }: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

function queryToken({ query }: FastifyRequest): string | undefined {
  const { token } = query as { token?: unknown };
  return typeof token === 'string' ? token : undefined;
}
