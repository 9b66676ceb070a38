import { defineEvent, z, type EventsOf } from '../../extension-api.js';

/** What an alert says. Its event goes to admins alone, and from there wherever webhooks and Slack are told to send it. */
export const alert = z.strictObject({
  kind: z.enum(['failed_logins', 'admin_locked']),
  /** The email address it is about; null for a burst that is not about one. */
  email: z.string().nullable(),
  /** The network address that a burst comes from; null for a burst that does not come from one. */
  ip: z.string().nullable(),
  /** How many logins have failed within the window; null for a lock. */
  failures: z.int().nullable(),
});

/** An alert. */
export type Alert = z.infer<typeof alert>;

/** The events of this extension. */
export const alertEvents = {
  'security.alert_raised': defineEvent({
    description: 'Many logins have failed in a short time, or the account of an admin was locked.',
    payload: alert,
    subject: () => null,
    outcome: 'failure',
  }),
};

declare module '../../extension-api.js' {
  interface ExtensionEvents extends EventsOf<typeof alertEvents> {}
}
