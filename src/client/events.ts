/**
 * The payload of each event type; an extension's events are added by declaration merging.
 *
 * Written out, so that the package needs nothing of the service; a test compares it with the service's catalogue.
 */
export interface HeraldEvents {
  'user.registered': { userId: string };
  'user.deleted': { userId: string };
  'user.updated': { userId: string; fields: string[] };
  'login.success': { userId: string; email: string };
  'login.failed': { email: string };
  logout: { userId: string };
  'password.changed': { userId: string };
  'password.reset': { userId: string };
  'email.verified': { userId: string };
  'mfa.enabled': { userId: string };
  'mfa.disabled': { userId: string };
  'api_key.created': { userId: string; keyId: string };
  'api_key.revoked': { userId: string; keyId: string };
  'account.locked': { email: string };
  'account.unlocked': { email: string };
}

/** The name of an event type. */
export type EventType = Extract<keyof HeraldEvents, string>;

/** An event; without a type the union of all, so that comparing `type` tells what `payload` holds. */
export type HeraldEvent<T extends EventType = EventType> = {
  [K in T]: {
    /** `evt-` and a UUIDv7. */
    id: string;
    type: K;
    /** ISO 8601 in UTC, with milliseconds. */
    timestamp: string;
    payload: HeraldEvents[K];
  };
}[T];

type PrefixOf<T extends string> = T extends `${infer Head}.${infer Rest}`
  ? `${Head}.*` | `${Head}.${PrefixOf<Rest>}`
  : never;

/** A name, `prefix.*`, or `*` for every event. */
export type EventFilter = EventType | PrefixOf<EventType> | '*';

/** The event that a handler of a filter is given. */
export type EventOf<F extends EventFilter> = F extends EventType
  ? HeraldEvent<F>
  : F extends `${infer Prefix}.*`
    ? HeraldEvent<Extract<EventType, `${Prefix}.${string}`>>
    : HeraldEvent;

/** Says whether a filter lets a type through. */
export function matches(filter: string, type: string): boolean {
  return filter === '*' || filter === type || (filter.endsWith('.*') && type.startsWith(filter.slice(0, -1)));
}
