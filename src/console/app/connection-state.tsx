import { connection, connectionKind, gap } from './live.js';
import { client } from './session.js';
import { Icon } from './icon.js';
import { clock } from './parts.js';

const WORDS = { live: 'Live', connecting: 'Connecting', offline: 'Disconnected' };

/** Says whether what is shown is live. */
export function ConnectionState() {
  const kind = connectionKind.value;
  return (
    <span class={`connection connection-${kind}`} data-state={kind}>
      <span class="dot" aria-hidden="true" />
      {WORDS[kind]}
    </span>
  );
}

/** Stands above the page while it is not live, or has missed something. */
export function Disconnected() {
  const state = connection.value;
  if (state.status === 'stopped' && state.reason !== 'closed') {
    return (
      <p class="banner banner-bad" role="alert">
        <Icon name="alert" />
        <span>The live connection was closed{state.error ? `: ${state.error.message}` : ''}.</span>
        <button type="button" class="button button-small" onClick={() => client.connect()}>
          Reconnect
        </button>
      </p>
    );
  }
  if (state.status === 'waiting') {
    const seconds = Math.max(0, Math.ceil((state.retryAt - Math.max(clock.value, Date.now())) / 1000));
    return (
      <p class="banner" role="status">
        <span class="spinner" aria-hidden="true" />
        <span>
          {state.reason === 'shutdown' ? 'The service is restarting.' : 'The service cannot be reached.'} What you see
          may be old; the page tries again {seconds > 1 ? `in ${seconds} s` : 'now'} and then shows what it missed.
        </span>
      </p>
    );
  }
  if (!gap.value) return null;
  return (
    <p class="banner" role="status">
      <Icon name="alert" />
      <span>Some events may be missing from the stream: they were older than what the service keeps.</span>
      <button type="button" class="button button-small" onClick={() => (gap.value = false)}>
        Dismiss
      </button>
    </p>
  );
}
