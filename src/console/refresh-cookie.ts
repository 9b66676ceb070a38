import type { FastifyRequest } from 'fastify';

const NAME = 'herald_console';
/** Sent to nothing else. */
const PATH = '/console/session';

/** Writes the cookie of a refresh token (RFC 6265 §4.1), which no script and no other site's page can use. */
export function refreshCookie(token: string, { isSecure, maxAgeMs }: { isSecure: boolean; maxAgeMs: number }): string {
  const attributes = [`Path=${PATH}`, `Max-Age=${Math.floor(maxAgeMs / 1000)}`, 'HttpOnly', 'SameSite=Strict'];
  return [`${NAME}=${token}`, ...attributes, ...(isSecure ? ['Secure'] : [])].join('; ');
}

/** Reads the refresh token out of a request's cookies. */
export function readRefreshCookie({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  return new RegExp(`(?:^|; *)${NAME}=([\\w-]{1,512})(?:;|$)`).exec(headers.cookie ?? '')?.[1];
}
