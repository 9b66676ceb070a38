import { defineEvent, z, type EventsOf } from '../../extension-api.js';

/** What an alert says. Its event goes to admins alone, and from there wherever webhooks and Slack are told to send it. */
export const alert = z.strictObject({
  kind: z.enum(['failed_logins', 'admin_locked']).meta({ examples: ['failed_logins'] }),
  email: z
    .string()
    .nullable()
    .meta({ description: 'The address it is about; null for a burst that is not about one.', examples: [null] }),
  ip: z
    .string()
    .nullable()
    .meta({ description: 'Where a burst comes from; null for one from many places.', examples: ['203.0.113.7'] }),
  failures: z
    .int()
    .nullable()
    .meta({ description: 'How many logins have failed within the window; null for a lock.', examples: [20] }),
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
