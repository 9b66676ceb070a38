import type { Session } from './session.entity.js';

/** A session as its owner and admins see it; times in epoch ms. */
export type SessionView = Pick<Session, 'id' | 'ip' | 'userAgent' | 'createdAt' | 'lastUsedAt' | 'expiresAt'>;

/** Leaves out what nobody needs to see. */
export function toSessionView({ id, ip, userAgent, createdAt, lastUsedAt, expiresAt }: Session): SessionView {
  return { id, ip, userAgent, createdAt, lastUsedAt, expiresAt };
}
