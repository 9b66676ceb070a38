import { z } from 'zod';

const userId = z.uuid();
const email = z.email();

/** What the service knows about one type of event. */
export interface EventDefinition {
  /** When it is published, in a sentence. */
  readonly description: string;
  /** The payload, exactly. */
  readonly payload: z.ZodObject;
  /** The payload field that says whom the event is about; visibility goes by it. */
  readonly subject: 'userId' | 'email';
  /** What the audit trail calls it. @default 'success' */
  readonly outcome?: 'failure';
}

/**
 * Every domain event there is. Types, run-time validation, filters and the documentation come from this table.
 *
 * Names are `noun.verb-past`; a payload names what changed, never a secret and never the changed value.
 */
export const catalogue = {
  'user.registered': {
    description: 'An account was created, by registration or by an admin.',
    payload: z.strictObject({ userId }),
    subject: 'userId',
  },
  'user.deleted': {
    description: 'An account was deleted, by its owner or by an admin.',
    payload: z.strictObject({ userId }),
    subject: 'userId',
  },
  'user.updated': {
    description: 'Profile, role or status of an account changed; `fields` names what changed.',
    payload: z.strictObject({ userId, fields: z.array(z.string()).min(1) }),
    subject: 'userId',
  },
  'login.success': {
    description: 'A login completed, after the second factor where there is one.',
    payload: z.strictObject({ userId, email }),
    subject: 'userId',
  },
  'login.failed': {
    description: 'A login failed: wrong password or code, unknown address, locked or banned account.',
    payload: z.strictObject({ email }),
    subject: 'email',
    outcome: 'failure',
  },
  logout: {
    description: 'A session was ended by its owner.',
    payload: z.strictObject({ userId }),
    subject: 'userId',
  },
  'password.changed': {
    description: 'A password was changed by its logged-in owner.',
    payload: z.strictObject({ userId }),
    subject: 'userId',
  },
  'password.reset': {
    description: 'A password was reset through the mailed token.',
    payload: z.strictObject({ userId }),
    subject: 'userId',
  },
  'email.verified': {
    description: 'An email address was verified through the mailed token.',
    payload: z.strictObject({ userId }),
    subject: 'userId',
  },
  'mfa.enabled': {
    description: 'A second factor was confirmed.',
    payload: z.strictObject({ userId }),
    subject: 'userId',
  },
  'mfa.disabled': {
    description: 'The second factor was removed.',
    payload: z.strictObject({ userId }),
    subject: 'userId',
  },
  'api_key.created': {
    description: 'An API key was created.',
    payload: z.strictObject({ userId, keyId: z.uuid() }),
    subject: 'userId',
  },
  'api_key.revoked': {
    description: 'An API key was revoked.',
    payload: z.strictObject({ userId, keyId: z.uuid() }),
    subject: 'userId',
  },
  'account.locked': {
    description: 'An address was locked after too many failed logins.',
    payload: z.strictObject({ email }),
    subject: 'email',
  },
  'account.unlocked': {
    description: 'A lock ended: with the first login after it expired, or by an admin.',
    payload: z.strictObject({ email }),
    subject: 'email',
  },
} as const satisfies Record<string, EventDefinition>;

/** The name of an event type. */
export type EventType = keyof typeof catalogue;

/** The payload of an event type. */
export type EventPayload<T extends EventType> = z.infer<(typeof catalogue)[T]['payload']>;

/** All names, in the catalogue's order. */
export const EVENT_TYPES = Object.keys(catalogue) as readonly EventType[];

/** Says whether `name` is an event type. */
export function isEventType(name: string): name is EventType {
  return Object.hasOwn(catalogue, name);
}
