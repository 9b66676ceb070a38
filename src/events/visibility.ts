import type { Principal } from '../common/principal.js';
import { EVERYONE } from './catalogue.js';

/** Who is looking, as far as visibility goes by it. */
export type Viewer = Pick<Principal, 'userId' | 'email' | 'role'>;

/**
 * Returns the subjects whose events a viewer may see; undefined means all of them.
 *
 * The one policy of the whole system: an admin sees everything, anybody else what is about its user id or its own
 * email address, or is everyone's. Live delivery, replay and REST all ask here.
 */
export function visibleSubjects(viewer: Viewer): readonly string[] | undefined {
  return viewer.role === 'admin' ? undefined : [viewer.userId, viewer.email, EVERYONE];
}

/** Says whether a viewer may see an event about `subject`. */
export function canSee(viewer: Viewer, subject: string): boolean {
  return visibleSubjects(viewer)?.includes(subject) ?? true;
}
