import { z } from 'zod';
import { epochMs, ipAddress, userAgent, uuid } from '../common/fields.js';
import type { Session } from './session.entity.js';

/** A session as its owner and admins see it. */
export const sessionView = z
  .strictObject({
    id: uuid,
    ip: ipAddress,
    userAgent,
    createdAt: epochMs,
    lastUsedAt: epochMs,
    expiresAt: epochMs.meta({
      description: 'When it ends unless its refresh token is used before; epoch milliseconds.',
    }),
  })
  .meta({ id: 'Session' });
type SessionView = z.infer<typeof sessionView>;

/** A session as its owner sees it. */
export const ownSessionView = sessionView
  .extend({ current: z.boolean().meta({ description: 'Whether it is the one that asks.', examples: [true] }) })
  .meta({ id: 'OwnSession' });

/** Leaves out what nobody needs to see. */
export function toSessionView({ id, ip, userAgent: agent, createdAt, lastUsedAt, expiresAt }: Session): SessionView {
  return { id, ip, userAgent: agent, createdAt, lastUsedAt, expiresAt };
}
