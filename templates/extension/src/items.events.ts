import { defineEvent, userId, uuid, z, type EventsOf } from 'herald/extension-api';

/** The events of this extension. A payload names what has changed; it holds no secret. */
export const events = {
  'my_extension.added': defineEvent({
    description: 'Somebody added an item.',
    payload: z.strictObject({ itemId: uuid, userId }),
    // Whose event it is: this user sees it, and admins do.
    subject: (payload) => payload.userId,
  }),
};

// With this, the compiler knows the event wherever it is published or handled.
declare module 'herald/extension-api' {
  interface ExtensionEvents extends EventsOf<typeof events> {}
}
