import { defineEvent, userId, uuid, z, type EventsOf } from '../../extension-api.js';

const payload = z.strictObject({ noteId: uuid, userId });
/** Whose event it is: its owner sees it, and admins do. */
const subject = (about: z.infer<typeof payload>) => about.userId;

/** What happens to notes. A note's text is nobody else's business, so no event carries it. */
export const noteEvents = {
  'note.created': defineEvent({ description: 'Somebody wrote a note.', payload, subject }),
  'note.updated': defineEvent({ description: 'Somebody changed a note of theirs.', payload, subject }),
  'note.deleted': defineEvent({ description: 'Somebody deleted a note of theirs.', payload, subject }),
};

declare module '../../extension-api.js' {
  interface ExtensionEvents extends EventsOf<typeof noteEvents> {}
}
