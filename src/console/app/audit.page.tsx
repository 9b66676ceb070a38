import { useId, useState } from 'preact/hooks';
import { href, useAddress } from './address.js';
import type { AuditRow } from './api-types.js';
import { ActionButton } from './button.js';
import { Dialog } from './dialogs.js';
import { formatJson, formatNumber } from './format.js';
import { Icon } from './icon.js';
import { MoreRows, usePages } from './more-rows.js';
import { Badge, Code, Empty, EventType, Facts, Id, Loaded, PageHead, When } from './parts.js';
import { SearchField } from './search-field.js';
import { api } from './session.js';
import { TableHead } from './table-head.js';

interface ChainReport {
  count: number;
  head: { id: string; hash: string } | null;
  broken: { seq: number; id: string; reason: string } | null;
}

/** Who did what, when, and from where. */
export function AuditPage() {
  const { query, set } = useAddress();
  const { actor, subject, type, from, to, row: rowId } = query;
  const rows = usePages<AuditRow>('/audit', { actor, subject, type, from: timeOf(from), to: timeOf(to) }, { on: '*' });
  const [report, setReport] = useState<ChainReport>();
  const row = rows.data?.find(({ id }) => id === rowId);
  return (
    <>
      <PageHead title="Audit">
        <ActionButton run={async () => setReport(await api.get<ChainReport>('/audit/verification'))}>
          Verify the chain
        </ActionButton>
      </PageHead>
      {report && <Verdict report={report} />}
      <div class="filters">
        <SearchField
          label="Actor"
          placeholder="Actor’s id"
          value={actor ?? ''}
          onChange={(text) => set({ actor: text }, { replace: true })}
        />
        <SearchField
          label="Subject"
          placeholder="Subject: id or address"
          value={subject ?? ''}
          onChange={(text) => set({ subject: text }, { replace: true })}
        />
        <SearchField
          label="Type"
          placeholder="Type, or prefix.*"
          value={type ?? ''}
          onChange={(text) => set({ type: text }, { replace: true })}
        />
        <TimeField label="From" value={from} onChange={(value) => set({ from: value })} />
        <TimeField label="To" value={to} onChange={(value) => set({ to: value })} />
      </div>
      <Loaded of={rows}>
        {(found) =>
          found.length === 0 ? (
            <Empty icon="audit" title="Nothing fits">
              Widen the filters.
            </Empty>
          ) : (
            <AuditTable rows={found} open={(id) => set({ row: id })} />
          )
        }
      </Loaded>
      <MoreRows more={rows.more} />
      {row && <RowPanel row={row} onClose={() => set({ row: undefined })} />}
    </>
  );
}

function Verdict({ report: { count, head, broken } }: { report: ChainReport }) {
  return (
    <p class={`banner ${broken ? 'banner-bad' : 'banner-ok'}`} role="status">
      <Icon name={broken ? 'alert' : 'check'} />
      <span>
        {broken
          ? `The chain breaks at row ${broken.seq} (${broken.id}): ${broken.reason}. ${formatNumber(count)} rows before it hold.`
          : `The chain holds: ${formatNumber(count)} rows.`}
        {head && !broken && (
          <>
            {' '}
            Head <Id id={head.hash} />
          </>
        )}
      </span>
    </p>
  );
}

interface TimeFieldProps {
  label: string;
  value: string | undefined;
  onChange: (value: string) => void;
}

function TimeField({ label, value, onChange }: TimeFieldProps) {
  const id = useId();
  return (
    <span class="field-inline">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="datetime-local"
        value={value ?? ''}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      />
    </span>
  );
}

/** A local time of the address as the API wants it. */
function timeOf(local: string | undefined): string | undefined {
  const time = local === undefined ? Number.NaN : new Date(local).getTime();
  return Number.isNaN(time) ? undefined : String(time);
}

function AuditTable({ rows, open }: { rows: AuditRow[]; open: (id: string) => void }) {
  return (
    <table class="table">
      <TableHead
        caption="Acts, the newest first"
        columns={[
          'What',
          'Outcome',
          { label: 'Subject', is: 'wide' },
          { label: 'Actor', is: 'wide' },
          { label: 'From', is: 'wide' },
          'When',
        ]}
      />
      <tbody>
        {rows.map((row) => (
          <tr key={row.id}>
            <td>
              <button type="button" class="link" onClick={() => open(row.id)}>
                <EventType type={row.type} />
              </button>
            </td>
            <td>
              <Badge status={row.outcome} />
            </td>
            <td class="wide cell-long" title={row.subject}>
              {row.subject}
            </td>
            <td class="wide">{row.actorId === null ? <span class="muted">–</span> : <Id id={row.actorId} />}</td>
            <td class="wide">{row.ip ?? <span class="muted">–</span>}</td>
            <td>
              <When at={row.timestamp} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function RowPanel({ row, onClose }: { row: AuditRow; onClose: () => void }) {
  return (
    <Dialog title="Act" kind="drawer" onClose={onClose}>
      <p class="trace-title">
        <EventType type={row.type} /> <Badge status={row.outcome} />
      </p>
      <Facts
        facts={[
          ['Id', <Id id={row.id} full />],
          ['Time', <When at={row.timestamp} />],
          ['Subject', <span class="break">{row.subject}</span>],
          ['Actor', row.actorId === null ? '–' : <a href={href(`/users/${row.actorId}`)}>{row.actorId}</a>],
          ['From', row.ip ?? '–'],
          ['Client', row.userAgent ?? '–'],
          ['Request', row.requestId === null ? '–' : <Id id={row.requestId} full />],
          ['Hash', row.hash === null ? '–' : <Id id={row.hash} />],
        ]}
      />
      {row.id.startsWith('evt-') && (
        <p>
          <a href={href('/events', { event: row.id })}>What came of it</a>
        </p>
      )}
      {row.details !== null && (
        <>
          <h3>Details</h3>
          <Code text={formatJson(row.details)} label="Details" />
        </>
      )}
      {Object.keys(row.payload).length > 0 && (
        <>
          <h3>Payload</h3>
          <Code text={formatJson(row.payload)} label="Payload" />
        </>
      )}
    </Dialog>
  );
}
