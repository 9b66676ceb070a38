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

/** What a route asks of its callers. */
interface RouteAccess {
  isPublic: boolean;
  tokenInQuery: boolean;
  scope: Scope | undefined;
  roles: Role[] | undefined;
}

/** Lets only authenticated callers of the right role through, except on routes marked `@Public()`. Guards every REST route. */
@Injectable()
export class AuthGuard implements CanActivate {
  /** What each route asks for, read from its decorators once. */
  private readonly routes = new WeakMap<object, Map<unknown, RouteAccess>>();

  constructor(
    private readonly reflector: Reflector,
    private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // The gateway has a guard of its own: there a connection authenticates once, not every message.
    if (context.getType() !== 'http') return true;
    const access = this.accessTo(context);
    if (access.isPublic) return true;
    const request = context.switchToHttp().getRequest<FastifyRequest & AuthenticatedRequest>();
    request.principal = await this.authenticate(request, access.tokenInQuery);
    const origin = currentRequestContext();
    if (origin) {
      origin.actorId = request.principal.userId;
      origin.sessionId = request.principal.sessionId;
    }
    const { scopes } = request.principal;
    const { scope, roles } = access;
    if (scopes && (scope === undefined || !scopes.includes(scope))) {
      const message = scope === undefined ? 'No API key may do this' : `The API key needs the scope ${scope}`;
      throw new AppError('FORBIDDEN', message, [{ code: 'SCOPE_MISSING', message }]);
    }
    if (roles && !roles.includes(request.principal.role)) throw new AppError('FORBIDDEN', 'Not allowed');
    return true;
  }

  private accessTo(context: ExecutionContext): RouteAccess {
    const [handler, controller] = [context.getHandler(), context.getClass()];
    // By both: two controllers may inherit one method, each with decorators of its own.
    let ofController = this.routes.get(controller);
    if (!ofController) this.routes.set(controller, (ofController = new Map()));
    let access = ofController.get(handler);
    if (!access) {
      const targets = [handler, controller];
      const read = (key: symbol): unknown => this.reflector.getAllAndOverride(key, targets);
      access = {
        isPublic: read(PUBLIC_ROUTE) === true,
        tokenInQuery: read(TOKEN_IN_QUERY) === true,
        scope: read(ALLOWED_SCOPE) as Scope | undefined,
        roles: read(ROLES) as Role[] | undefined,
      };
      ofController.set(handler, access);
    }
    return access;
  }

  /** By access token, ticket or API key; a request that brings several is the first one's. */
  private authenticate(request: FastifyRequest, tokenInQuery: boolean): Promise<Principal> {
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
