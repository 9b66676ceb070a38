import { href, useAddress } from './address.js';
import type { Connection } from './api-types.js';
import { ask } from './dialogs.js';
import { formatBytes, formatNumber } from './format.js';
import { Badge, Empty, Id, Loaded, PageHead, When } from './parts.js';
import { useResource } from './resource.js';
import { SearchField } from './search-field.js';
import { api } from './session.js';
import { ACTIONS, TableHead } from './table-head.js';
import { tell } from './toasts.js';

const EVERY_MS = 2000;
/** There may be twenty thousand: more than a person reads are found by searching. */
const MAX_SHOWN = 200;

/** Who is connected live. */
export function ConnectionsPage() {
  const { query, set } = useAddress();
  const { q = '' } = query;
  const connections = useResource<{ connections: Connection[] }>('/realtime/connections', { everyMs: EVERY_MS });
  return (
    <>
      <PageHead title="Connections" />
      <div class="filters">
        <SearchField
          label="Search"
          placeholder="Address of account or client"
          value={q}
          onChange={(text) => set({ q: text }, { replace: true })}
        />
      </div>
      <Loaded of={connections}>
        {(data) => {
          const found = data.connections.filter((one) => mentions(one, q.toLowerCase()));
          if (found.length === 0) {
            return (
              <Empty icon="connections" title={q === '' ? 'Nobody is connected' : 'No such connection'}>
                Clients that stream events appear here.
              </Empty>
            );
          }
          const newest = found.toSorted((a, b) => b.connectedAt - a.connectedAt).slice(0, MAX_SHOWN);
          return (
            <>
              <ConnectionTable connections={newest} reload={connections.reload} />
              {found.length > newest.length && (
                <p class="more muted">and {formatNumber(found.length - newest.length)} older ones: search for them</p>
              )}
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function mentions({ email, ip, id }: Connection, text: string): boolean {
  return [email, ip, id].some((value) => value?.includes(text) === true);
}

function ConnectionTable({ connections, reload }: { connections: Connection[]; reload: () => Promise<void> }) {
  return (
    <table class="table">
      <TableHead
        caption="Live connections"
        columns={[
          'Who',
          'Transport',
          { label: 'From', is: 'wide' },
          { label: 'Events', is: 'wide' },
          { label: 'Open', is: 'wide' },
          { label: 'Waiting', is: 'wide number' },
          ACTIONS,
        ]}
      />
      <tbody>
        {connections.map((connection) => (
          <tr key={connection.id} data-id={connection.id}>
            <td class="cell-long">
              {connection.userId === null ? (
                'not authenticated yet'
              ) : (
                <a href={href(`/users/${connection.userId}`)}>{connection.email}</a>
              )}
              <div class="cell-note">
                <Id id={connection.id} />
              </div>
            </td>
            <td>
              <Badge status={connection.transport === 'sse' ? 'SSE' : 'WebSocket'} />
            </td>
            <td class="wide">{connection.ip}</td>
            <td class="wide cell-long" title={connection.events.join(', ')}>
              {connection.events.join(', ') || '–'}
            </td>
            <td class="wide">
              <When at={connection.connectedAt} />
            </td>
            <td class="wide number">{formatBytes(connection.bufferedBytes)}</td>
            <td class="cell-actions">
              <button type="button" class="button button-small" onClick={() => askToClose(connection, reload)}>
                Close
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function askToClose({ id }: Connection, reload: () => Promise<void>): void {
  ask({
    title: 'Close this connection?',
    text: 'Its client is told that it was closed, and does not come back by itself. Its session goes on.',
    action: 'Close it',
    run: async () => {
      await api.delete(`/realtime/connections/${id}`);
      tell('The connection is closed');
      await reload();
    },
  });
}
