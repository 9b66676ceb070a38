import { computed, signal } from '@preact/signals';
import { HeraldError, type ClientState } from '../../client/herald-client.js';
import type { Profile } from './api-types.js';
import { api, client, leave, session } from './session.js';

/** Where the live connection stands. */
export const connection = signal<ClientState>(client.state);
/** Counts how often it has become live: what was read before then may be old. */
export const liveCount = signal(0);
/** Set when events may be missing, until a person has seen it. */
export const gap = signal(false);

/** The connection in a word. */
export const connectionKind = computed<'live' | 'connecting' | 'offline'>(() => {
  const { status } = connection.value;
  if (status === 'live') return 'live';
  return status === 'stopped' ? 'offline' : 'connecting';
});

client.onState((state) => {
  connection.value = state;
  if (state.status === 'live') liveCount.value += 1;
  if (state.status === 'stopped' && state.reason !== 'closed' && session.peek().status === 'open') void checkSession();
});
client.onGap(() => (gap.value = true));

/** The connection ended for good: shows the login, unless it is the connection alone that was closed. */
async function checkSession(): Promise<void> {
  try {
    await api.get<Profile>('/users/me');
  } catch (error) {
    // Who has left meanwhile knows why.
    if (session.peek().status !== 'open') return;
    if (error instanceof HeraldError && error.status === 401) leave('Your session has ended. Log in to go on.');
  }
}
