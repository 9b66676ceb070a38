/** What stands before the path of every route of the API. */
export const PREFIX = 'api/v1';

/** Probes, scrapers and the small client for pages: no prefix, no rate limit. */
export const UNLIMITED = ['health', 'readiness', 'metrics', 'client.js'];

/** These and documentation: no prefix. */
export const UNPREFIXED = [...UNLIMITED, 'docs', 'docs/html', 'docs/asyncapi.json', 'docs/html/:version/:file'];

/** The page for admins with its own routes, and its session: no prefix. */
export const CONSOLE = ['console', 'console/*', 'console/session', 'console/session/refresh'];

/** The local mailbox of development: no prefix. */
export const MAILBOX = ['dev/mail', 'dev/mail/:name'];
