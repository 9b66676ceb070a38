import { createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import { AppError } from './app-error.js';

/** Every role. */
export const ROLE_NAMES = ['user', 'admin'] as const;

/** What an account may do: `admin` sees and manages everything, `user` only what is its own. */
export type Role = (typeof ROLE_NAMES)[number];

/** What an API key can be allowed. */
export const SCOPES = [
  'events:read',
  'users:read',
  'users:manage',
  'webhooks:manage',
  'jobs:manage',
  'audit:read',
  'realtime:manage',
] as const;

/** One thing that an API key can be allowed. */
export type Scope = (typeof SCOPES)[number];

/** The authenticated caller of a request or the owner of a live connection. */
export interface Principal {
  userId: string;
  email: string;
  role: Role;
  /** The session, or the API key that stands for one. */
  sessionId: string;
  /** Epoch milliseconds at which the presented access token or key ends. */
  expiresAt: number;
  /** What an API key is allowed; undefined for a session, which may do all that its owner may. */
  scopes?: readonly Scope[];
}

/** A request once the guard has seen it. */
export interface AuthenticatedRequest {
  principal?: Principal;
}

/** Metadata key under which {@link Public} marks a route. */
export const PUBLIC_ROUTE = Symbol('public route');

/** Opens a route, or every route of a controller, to callers without a token. */
export const Public = () => SetMetadata(PUBLIC_ROUTE, true);

/** Metadata key under which {@link TokenInQuery} marks a route. */
export const TOKEN_IN_QUERY = Symbol('token in query');

/** Lets a route take an access token from `?token=`, or a ticket from `?ticket=`, for clients that cannot set headers (browser EventSource). */
export const TokenInQuery = () => SetMetadata(TOKEN_IN_QUERY, true);

/** Metadata key under which {@link Roles} marks a route. */
export const ROLES = Symbol('roles');

/** Closes a route, or every route of a controller, to callers of any other role: they are answered 403. */
export const Roles = (...roles: Role[]) => SetMetadata(ROLES, roles);

/** Metadata key under which {@link AllowScope} marks a route. */
export const ALLOWED_SCOPE = Symbol('allowed scope');

/** Opens a route, or every route of a controller, to API keys that have a scope; without it no key gets in. */
export const AllowScope = (scope: Scope) => SetMetadata(ALLOWED_SCOPE, scope);

/** Injects the authenticated caller into a route handler. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!principal) throw new AppError('UNAUTHORIZED', 'Authentication required');
  return principal;
});
