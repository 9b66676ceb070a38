import type { IncomingHttpHeaders } from 'node:http';

/**
 * Says whether a WebSocket handshake may proceed, going by its `Origin` (RFC 6455 §10.2).
 *
 * Browsers do not apply CORS to WebSockets, so this check is what keeps other sites' pages out. Programs send no
 * Origin, and are let in: they do not act with somebody else's browser.
 */
export function isAllowedOrigin({ origin, host }: IncomingHttpHeaders, allowed: readonly string[]): boolean {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
