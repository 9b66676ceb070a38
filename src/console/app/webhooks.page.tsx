import { useId, useState } from 'preact/hooks';
import { href, useAddress } from './address.js';
import type { Endpoint } from './api-types.js';
import { ActionButton } from './button.js';
import { Dialog } from './dialogs.js';
import { Icon } from './icon.js';
import { MoreRows, usePages } from './more-rows.js';
import { Badge, Empty, Id, Loaded, PageHead, When } from './parts.js';
import { SecretDialog } from './secret-dialog.js';
import { api } from './session.js';
import { TableHead } from './table-head.js';

const EVERY_MS = 5000;

/** Where events are sent. */
export function WebhooksPage() {
  const { query, set, go } = useAddress();
  const endpoints = usePages<Endpoint>('/webhooks', {}, { everyMs: EVERY_MS });
  const [made, setMade] = useState<{ id: string; secret: string }>();
  const openForm = (): void => set({ new: '1' });
  return (
    <>
      <PageHead title="Webhooks">
        <button type="button" class="button button-primary" onClick={openForm}>
          <Icon name="plus" /> Add an endpoint
        </button>
      </PageHead>
      <Loaded of={endpoints}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="webhooks" title="No endpoint yet">
              Add one, and each event it wants is sent to it, signed, until it arrives.
            </Empty>
          ) : (
            <EndpointTable endpoints={rows} />
          )
        }
      </Loaded>
      <MoreRows more={endpoints.more} />
      {query['new'] !== undefined && (
        <NewEndpointDialog
          onClose={() => set({ new: undefined })}
          onMade={async (endpoint) => {
            set({ new: undefined });
            setMade(endpoint);
            await endpoints.reload();
          }}
        />
      )}
      {made && (
        <SecretDialog
          secret={made.secret}
          onClose={() => {
            setMade(undefined);
            go(`/webhooks/${made.id}`);
          }}
        />
      )}
    </>
  );
}

/** What an endpoint is like, in a word. */
export function endpointStatus({ disabledAt, failingSince }: Pick<Endpoint, 'disabledAt' | 'failingSince'>): string {
  if (disabledAt !== null) return 'disabled';
  return failingSince === null ? 'enabled' : 'failing';
}

function EndpointTable({ endpoints }: { endpoints: Endpoint[] }) {
  return (
    <table class="table">
      <TableHead
        caption="Webhook endpoints, the newest first"
        columns={['Address', 'State', { label: 'Events', is: 'wide' }, { label: 'Added', is: 'wide' }]}
      />
      <tbody>
        {endpoints.map((endpoint) => (
          <tr key={endpoint.id}>
            <td class="cell-long">
              <a href={href(`/webhooks/${endpoint.id}`)}>{endpoint.url}</a>
              <div class="cell-note">{endpoint.description ?? <Id id={endpoint.id} />}</div>
            </td>
            <td>
              <Badge status={endpointStatus(endpoint)} />
            </td>
            <td class="wide cell-long" title={endpoint.events.join(', ')}>
              {endpoint.events.join(', ')}
            </td>
            <td class="wide">
              <When at={endpoint.createdAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface NewEndpointDialogProps {
  onClose: () => void;
  onMade: (endpoint: { id: string; secret: string }) => Promise<void>;
}

function NewEndpointDialog({ onClose, onMade }: NewEndpointDialogProps) {
  const id = useId();
  const [url, setUrl] = useState('');
  const [events, setEvents] = useState('*');
  const [description, setDescription] = useState('');
  const create = async (): Promise<void> => {
    const filters = events.split(/[\s,]+/).filter(Boolean);
    const body = { url: url.trim(), events: filters, ...(description.trim() && { description: description.trim() }) };
    await onMade(await api.post<Endpoint & { secret: string }>('/webhooks', body));
  };
  return (
    <Dialog title="Add an endpoint" onClose={onClose}>
      <div class="field">
        <label for={`${id}-url`}>Address</label>
        <input
          id={`${id}-url`}
          type="url"
          autofocus
          placeholder="https://example.com/hooks/herald"
          value={url}
          onInput={({ currentTarget }) => setUrl(currentTarget.value)}
        />
      </div>
      <div class="field">
        <label for={`${id}-events`}>Events</label>
        <input
          id={`${id}-events`}
          value={events}
          aria-describedby={`${id}-hint`}
          onInput={({ currentTarget }) => setEvents(currentTarget.value)}
        />
        <span id={`${id}-hint`} class="hint">
          Names, <code>prefix.*</code> or <code>*</code>, with commas between them
        </span>
      </div>
      <div class="field">
        <label for={`${id}-description`}>Description, if need be</label>
        <input
          id={`${id}-description`}
          value={description}
          maxLength={500}
          onInput={({ currentTarget }) => setDescription(currentTarget.value)}
        />
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <ActionButton kind="primary" disabled={url.trim() === '' || events.trim() === ''} run={create}>
          Add
        </ActionButton>
      </footer>
    </Dialog>
  );
}
