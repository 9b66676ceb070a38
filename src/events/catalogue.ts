import { z } from 'zod';
import { declareIn } from '../common/declare.js';
import { email, userId, uuid } from '../common/fields.js';

const keyId = uuid;

/** The subject of an event that every account may see. */
export const EVERYONE = 'everyone';

/** Whose an event is: a user id, an email address, {@link EVERYONE}, or null for admins alone. */
export type Subject = string | null;

/** What the service knows about one type of event. */
export interface EventDefinition {
  /** When it is published, in a sentence. */
  readonly description: string;
  /** The payload, exactly. */
  readonly payload: z.ZodObject;
  /** Whom the event is about, and so who may see it: the payload field that says it, or how to tell it. */
  readonly subject: 'userId' | 'email' | ((payload: never) => Subject);
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
    payload: z.strictObject({
      userId,
      fields: z
        .array(z.string())
        .min(1)
        .meta({ examples: [['email']] }),
    }),
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
    payload: z.strictObject({ userId, keyId }),
    subject: 'userId',
  },
  'api_key.revoked': {
    description: 'An API key was revoked.',
    payload: z.strictObject({ userId, keyId }),
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

/**
 * The payloads of the events that extensions declare, by declaration merging, so that `publish` and `@OnDomainEvent` check
 * them as they check Herald's own.
 */
// Empty on purpose: this room knows no extension.
// oxlint-disable-next-line typescript/no-empty-object-type
export interface ExtensionEvents {}

type OwnEventType = keyof typeof catalogue;

/** The name of an event type. */
// Without an extension there is nothing to add.
// oxlint-disable-next-line typescript/no-redundant-type-constituents
export type EventType = OwnEventType | Extract<keyof ExtensionEvents, string>;

/** The payload of an event type. */
export type EventPayload<T extends EventType> = T extends OwnEventType
  ? z.infer<(typeof catalogue)[T]['payload']>
  : T extends keyof ExtensionEvents
    ? ExtensionEvents[T]
    : never;

/** The names of Herald's own events, in the catalogue's order. */
export const EVENT_TYPES = Object.keys(catalogue) as readonly OwnEventType[];

/** Herald's own, then those of extensions. */
const all = new Map<string, EventDefinition>(Object.entries(catalogue));

/**
 * Adds event types to those of this process.
 *
 * @throws TypeError for a name that is not `noun.verb`, or is taken by another definition.
 */
export function declareEvents(definitions: Readonly<Record<string, EventDefinition>>): void {
  for (const type of Object.keys(definitions)) {
    if (!/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/.test(type)) {
      throw new TypeError(`"${type}" is no name for an event: use noun.verb-past in lower case, such as note.created`);
    }
  }
  declareIn(all, 'an event', definitions);
}

/** Returns all names: Herald's own, then those of extensions. */
export function eventTypes(): readonly EventType[] {
  return [...(all.keys() as Iterable<EventType>)];
}

/** Returns the definition of an event type, or undefined. */
export function definitionOf(name: string): EventDefinition | undefined {
  return all.get(name);
}

/** Says whether `name` is an event type. */
export function isEventType(name: string): name is EventType {
  return definitionOf(name) !== undefined;
}
