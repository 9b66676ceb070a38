import { useEffect } from 'preact/hooks';
import { href, useAddress } from './address.js';
import type { Attempt, Delivery } from './api-types.js';
import { ActionButton } from './button.js';
import { Dialog } from './dialogs.js';
import { formatDuration, formatJson } from './format.js';
import { MoreRows, usePages } from './more-rows.js';
import { Badge, Code, Empty, EventType, Facts, Id, Loaded, When } from './parts.js';
import { useResource } from './resource.js';
import { api } from './session.js';
import { TableHead } from './table-head.js';
import { tell } from './toasts.js';

const EVERY_MS = 2000;

/** What was sent to an endpoint. @param version - changes when something was done that is to be seen at once. */
export function Deliveries({ endpointId, version }: { endpointId: string; version: number }) {
  const { query, set } = useAddress();
  const { status, delivery } = query;
  const path = `/webhooks/${endpointId}/deliveries`;
  const deliveries = usePages<Delivery>(path, { status }, { everyMs: EVERY_MS });
  useEffect(() => {
    if (version > 0) void deliveries.reload();
  }, [version]);
  return (
    <section aria-label="Deliveries">
      <div class="section-head">
        <h2>Deliveries</h2>
        <label class="field-inline">
          <span>State</span>
          <select value={status ?? ''} onChange={({ currentTarget }) => set({ status: currentTarget.value })}>
            <option value="">All</option>
            {['pending', 'delivered', 'dead'].map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      </div>
      <Loaded of={deliveries}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="webhooks" title="Nothing was sent yet">
              The next event that it wants is sent to it; or send a test.
            </Empty>
          ) : (
            <DeliveryTable deliveries={rows} open={(id) => set({ delivery: id })} />
          )
        }
      </Loaded>
      <MoreRows more={deliveries.more} />
      {delivery !== undefined && (
        <DeliveryPanel id={delivery} onClose={() => set({ delivery: undefined })} onChange={deliveries.reload} />
      )}
    </section>
  );
}

function DeliveryTable({ deliveries, open }: { deliveries: Delivery[]; open: (id: string) => void }) {
  return (
    <table class="table">
      <TableHead
        caption="Deliveries, the newest first"
        columns={[
          'Event',
          'State',
          'Answer',
          { label: 'Attempts', is: 'wide number' },
          { label: 'Made', is: 'wide' },
          { label: 'Next attempt', is: 'wide' },
        ]}
      />
      <tbody>
        {deliveries.map((delivery) => (
          <tr key={delivery.id} data-id={delivery.id}>
            <td>
              <button type="button" class="link" onClick={() => open(delivery.id)}>
                <EventType type={delivery.eventType} />
              </button>
            </td>
            <td>
              <Badge status={delivery.status} />
            </td>
            <td>{answerOf(delivery.attempts.at(-1))}</td>
            <td class="wide number">{delivery.attempts.length}</td>
            <td class="wide">
              <When at={delivery.createdAt} />
            </td>
            <td class="wide">
              <When at={delivery.nextAttemptAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function answerOf(attempt: Attempt | undefined) {
  if (!attempt) return <span class="muted">–</span>;
  return attempt.status ?? <span title={attempt.error ?? ''}>none</span>;
}

interface DeliveryPanelProps {
  id: string;
  onClose: () => void;
  onChange: () => Promise<void>;
}

/** One delivery: the request, and each answer. */
function DeliveryPanel({ id, onClose, onChange }: DeliveryPanelProps) {
  const path = `/webhooks/deliveries/${encodeURIComponent(id)}`;
  const delivery = useResource<Delivery & { body: string }>(`${path}/details`, { everyMs: EVERY_MS });
  const redeliver = async (): Promise<void> => {
    await api.post(`${path}/redeliver`);
    tell('It is sent again');
    await Promise.all([delivery.reload(), onChange()]);
  };
  return (
    <Dialog title="Delivery" kind="drawer" onClose={onClose}>
      <Loaded of={delivery}>
        {({ eventType, eventId, status, createdAt, finishedAt, attempts, body }) => (
          <>
            <p class="trace-title">
              <EventType type={eventType} /> <Badge status={status} />
            </p>
            <Facts
              facts={[
                ['Id', <Id id={id} full />],
                [
                  'Event',
                  eventType === 'webhook.test' ? (
                    'a test, which is in no log'
                  ) : (
                    <a href={href('/events', { event: eventId })}>{eventId}</a>
                  ),
                ],
                ['Made', <When at={createdAt} />],
                ['Ended', <When at={finishedAt} />],
              ]}
            />
            {status !== 'pending' && (
              <div class="panel-actions">
                <ActionButton run={redeliver}>Redeliver</ActionButton>
              </div>
            )}
            <h3>Request</h3>
            <Code text={formatJson(body)} label="Body of the request" />
            <h3>Answers</h3>
            {attempts.length === 0 && <p class="muted">It was not sent yet.</p>}
            {attempts.toReversed().map((attempt) => (
              <AttemptView key={attempt.number} attempt={attempt} />
            ))}
          </>
        )}
      </Loaded>
    </Dialog>
  );
}

function AttemptView({ attempt: { number, at, durationMs, status, response, error } }: { attempt: Attempt }) {
  const isGood = status !== null && status >= 200 && status < 300;
  return (
    <div class="attempt">
      <p class="attempt-head">
        <strong>Attempt {number}</strong>
        <Badge status={status === null ? 'no answer' : String(status)} tone={isGood ? 'ok' : 'bad'} />
        <span class="muted">
          <When at={at} /> · {formatDuration(durationMs)}
        </span>
      </p>
      {error !== null && <p class="step-error">{error}</p>}
      {response ? <Code text={response} label={`Answer to attempt ${number}`} /> : <p class="muted">No body</p>}
    </div>
  );
}
