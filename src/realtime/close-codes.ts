/** Close codes of the contract (RFC 6455 §7.4: 1000–2999 are the protocol's, 4000–4999 ours). */
export const CLOSE = {
  goingAway: 1001,
  policy: 1008,
  tooLarge: 1009,
  tryAgainLater: 1013,
  unauthenticated: 4401,
  revoked: 4403,
  pingTimeout: 4408,
  slowConsumer: 4429,
} as const;

/** Why each is sent, and what to do about it. */
export const CLOSE_MEANINGS: Record<(typeof CLOSE)[keyof typeof CLOSE], string> = {
  1001: 'The server is going away: come back at once, with jitter.',
  1008: 'Against the policy (origin, too many connections or messages): do not come back.',
  1009: 'A message was larger than `WS_MAX_MESSAGE_BYTES`: do not come back.',
  1013: 'The server is full: come back later.',
  4401: 'No `auth` in time, or the token has expired: come back with a new token.',
  4403: 'The session has ended: come back after a new login.',
  4408: 'Two pings of the protocol were not answered: come back.',
  4429: 'Too slow: come back with the `lastEventId` in the reason.',
};
