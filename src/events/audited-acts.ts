import { v7 as uuidv7 } from 'uuid';
import type { JournalEntry, Outcome } from './domain-event.js';

/**
 * Acts that the audit trail keeps though they are no domain events: what admins do to the service itself, and what
 * touches the security of an account without changing it. No reader of events is told of them.
 */
export const auditedActs = {
  'webhook.created': 'A webhook endpoint was added.',
  'webhook.changed': 'A webhook endpoint was changed; `changed` names what.',
  'webhook.deleted': 'A webhook endpoint was removed with its deliveries.',
  'webhook.disabled': 'A webhook endpoint gets nothing any more: an admin said so, or it failed for too long.',
  'webhook.secret_rotated': 'A webhook endpoint got a new secret.',
  'webhook.tested': 'A test was sent to a webhook endpoint.',
  'webhook.replayed': 'A webhook endpoint is sent what it missed.',
  'webhook.redelivered': 'One delivery is sent again.',
  'job.retried': 'A job was told to run again at once.',
  'job.redriven': 'The dead jobs of a type were told to run again.',
  'job.discarded': 'A job was removed for good.',
  'connection.closed': 'An admin closed a live connection.',
  'session.ended': 'An admin ended a session.',
  'session.reused': 'A used refresh token came again: its session was ended.',
  'reauthentication.failed': 'A logged-in caller gave a wrong password or code where one was asked for again.',
  'password.reset_requested': 'Somebody asked for a token to reset a password.',
  'email.verification_requested': 'A new token to verify an address was asked for.',
  'mfa.setup_started': 'The setup of a second factor was begun.',
  'journal.chained': 'The chain of hashes begins here; rows through `after` are older than it.',
  'journal.trimmed': 'Retention removed the oldest rows; `lastHash` is the hash of the last one removed.',
} as const;

/** The name of an act. */
export type ActType = keyof typeof auditedActs;

/** All names, in the table's order. */
export const ACT_TYPES = Object.keys(auditedActs) as readonly ActType[];

/** What an act is about, and how it ended. */
export interface Act {
  /** The id of the account, endpoint, job … it was done to, or an email address. */
  subject: string;
  /** @default 'success' */
  outcome?: Outcome;
  /** Never a secret. */
  details?: Record<string, unknown>;
}

/** Makes the journal's entry of an act that happens now; its id is `act-` and a UUIDv7. */
export function createAct(type: ActType, { subject, outcome = 'success', details = {} }: Act): JournalEntry {
  const timestamp = new Date().toISOString();
  return { id: `act-${uuidv7()}`, type, timestamp, payload: {}, subject, published: false, outcome, details };
}
