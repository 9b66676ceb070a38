import type { Extension } from './extension.js';

/** What the name of every shipped extension begins with. It is Herald's own package, so no other package can be meant. */
export const SHIPPED_PREFIX = 'herald/';

/** The extensions that come with Herald and are off until `HERALD_EXTENSIONS` names them. */
export const shipped: ReadonlyMap<string, () => Promise<{ default: Extension }>> = new Map([
  ['herald/security-alerts', () => import('./security-alerts/security-alerts.extension.js')],
  ['herald/slack-notifier', () => import('./slack-notifier/slack-notifier.extension.js')],
  ['herald/user-notes', () => import('./user-notes/user-notes.extension.js')],
]);
