import { useId, useState } from 'preact/hooks';
import { href, useAddress } from './address.js';
import type { Endpoint } from './api-types.js';
import { ActionButton } from './button.js';
import { Deliveries } from './deliveries.js';
import { ask, Dialog } from './dialogs.js';
import { formatExact } from './format.js';
import { lookAgain } from './overview.js';
import { Badge, Facts, Id, Loaded, PageHead, When } from './parts.js';
import { useResource } from './resource.js';
import { SecretDialog } from './secret-dialog.js';
import { api } from './session.js';
import { tell } from './toasts.js';
import { endpointStatus } from './webhooks.page.js';

const EVERY_MS = 5000;

/** One endpoint: what it gets, and what was sent to it. */
export function WebhookPage({ id = '' }: { id?: string }) {
  const endpoint = useResource<Endpoint>(`/webhooks/${encodeURIComponent(id)}`, { everyMs: EVERY_MS });
  const [version, setVersion] = useState(0);
  const reload = async (): Promise<void> => {
    setVersion((before) => before + 1);
    await Promise.all([endpoint.reload(), lookAgain()]);
  };
  return (
    <>
      <PageHead title="Endpoint" back={href('/webhooks')}>
        {endpoint.data && <EndpointActions endpoint={endpoint.data} reload={reload} />}
      </PageHead>
      <Loaded of={endpoint}>
        {(data) => (
          <>
            <EndpointFacts endpoint={data} />
            <Deliveries endpointId={data.id} version={version} />
          </>
        )}
      </Loaded>
    </>
  );
}

function EndpointFacts({ endpoint }: { endpoint: Endpoint }) {
  const { id, url, events, description, disabledAt, disabledReason, failingSince, previousSecretUntil } = endpoint;
  return (
    <section class="card" aria-label="About the endpoint">
      <Facts
        facts={[
          ['Address', <span class="break">{url}</span>],
          ['State', <Badge status={endpointStatus(endpoint)} />],
          ...(disabledAt === null
            ? []
            : ([
                [
                  'Disabled',
                  <>
                    <When at={disabledAt} />: {disabledReason}
                  </>,
                ],
              ] as const)),
          ...(failingSince === null ? [] : ([['Failing since', <When at={failingSince} />]] as const)),
          ['Events', events.join(', ')],
          ...(description === null ? [] : ([['Description', description]] as const)),
          ...(previousSecretUntil !== null && previousSecretUntil > Date.now()
            ? ([['Previous secret', `signs as well until ${formatExact(previousSecretUntil)}`]] as const)
            : []),
          ['Id', <Id id={id} full />],
        ]}
      />
    </section>
  );
}

function EndpointActions({ endpoint, reload }: { endpoint: Endpoint; reload: () => Promise<void> }) {
  const { id, url, disabledAt } = endpoint;
  const { go } = useAddress();
  const [isRotating, setRotating] = useState(false);
  const test = async (): Promise<void> => {
    await api.post(`/webhooks/${id}/test`);
    tell('A test is on its way');
    await reload();
  };
  const setEnabled = async (enabled: boolean): Promise<void> => {
    await api.patch(`/webhooks/${id}`, { enabled });
    tell(enabled ? 'Events are sent again from now on' : 'Nothing is sent any more');
    await reload();
  };
  return (
    <>
      <ActionButton run={test}>Send a test</ActionButton>
      <button type="button" class="button" onClick={() => setRotating(true)}>
        Rotate the secret
      </button>
      {disabledAt === null ? (
        <button
          type="button"
          class="button"
          onClick={() =>
            ask({
              title: 'Disable this endpoint?',
              text: 'Nothing is sent to it any more. What is on its way counts as dead, and can be redelivered later.',
              action: 'Disable',
              run: () => setEnabled(false),
            })
          }
        >
          Disable
        </button>
      ) : (
        <ActionButton kind="primary" run={() => setEnabled(true)}>
          Enable again
        </ActionButton>
      )}
      <button
        type="button"
        class="button button-danger-plain"
        onClick={() =>
          ask({
            title: 'Delete this endpoint?',
            text: (
              <>
                <span class="break">{url}</span> is removed with all its deliveries. This cannot be taken back.
              </>
            ),
            action: 'Delete',
            run: async () => {
              await api.delete(`/webhooks/${id}`);
              tell('The endpoint is gone');
              await lookAgain();
              go('/webhooks');
            },
          })
        }
      >
        Delete
      </button>
      {isRotating && <RotateDialog id={id} onClose={() => setRotating(false)} reload={reload} />}
    </>
  );
}

function RotateDialog({ id, onClose, reload }: { id: string; onClose: () => void; reload: () => Promise<void> }) {
  const inputId = useId();
  const [overlapHours, setOverlap] = useState('24');
  const [rotated, setRotated] = useState<{ secret: string; previousSecretUntil: number }>();
  if (rotated) {
    return <SecretDialog secret={rotated.secret} previousUntil={rotated.previousSecretUntil} onClose={onClose} />;
  }
  const rotate = async (): Promise<void> => {
    setRotated(await api.post(`/webhooks/${id}/rotate-secret`, { overlapHours: Number(overlapHours) }));
    await reload();
  };
  return (
    <Dialog title="Rotate the secret" onClose={onClose}>
      <div class="field">
        <label for={inputId}>Hours in which the present secret signs as well</label>
        <input
          id={inputId}
          type="number"
          autofocus
          min={0}
          max={168}
          value={overlapHours}
          aria-describedby={`${inputId}-hint`}
          onInput={({ currentTarget }) => setOverlap(currentTarget.value)}
        />
        <span id={`${inputId}-hint`} class="hint">
          Long enough to change it at the receiver; 0 when the secret has leaked
        </span>
      </div>
      <footer class="dialog-foot">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <ActionButton kind="primary" disabled={overlapHours === ''} run={rotate}>
          Rotate
        </ActionButton>
      </footer>
    </Dialog>
  );
}
