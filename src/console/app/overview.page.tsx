import type { ComponentChildren } from 'preact';
import { href } from './address.js';
import { JOB_STATES, type MinuteCount, type Overview } from './api-types.js';
import { formatDuration, formatNumber } from './format.js';
import { Icon, type IconName } from './icon.js';
import { AttemptsChart, ConnectionsChart, EventsChart, LatencyChart } from './overview-charts.js';
import { lookAgain, overview, overviewError, samples } from './overview.js';
import { Badge, Card, Loaded, PageHead, When } from './parts.js';
import { TableHead } from './table-head.js';

/** How the service does: what needs attention first. */
export function OverviewPage() {
  const resource = { data: overview.value, error: overviewError.value, reload: lookAgain };
  return (
    <>
      <PageHead title="Overview">
        {overview.value && (
          <span class="muted">
            Up {formatDuration(overview.value.uptimeSeconds * 1000)} · version {overview.value.version}
          </span>
        )}
      </PageHead>
      <Loaded of={resource} rows={10}>
        {(data) => (
          <>
            <Attention data={data} />
            <Numbers data={data} />
            <div class="charts">
              <EventsChart minutes={data.eventsPerMinute} />
              <AttemptsChart minutes={data.attemptsPerMinute} />
              <LatencyChart />
              <ConnectionsChart />
            </div>
            <div class="charts">
              <JobStates data={data} />
              <Readers data={data} />
            </div>
          </>
        )}
      </Loaded>
    </>
  );
}

function Attention({ data }: { data: Overview }) {
  const { deadJobs, endpoints, locks, reconciliation } = data;
  const mismatches = Object.entries(reconciliation?.counts ?? {}).filter(([, count]) => count > 0);
  const items = [
    ...mismatches.map(([check, count]) => (
      <Trouble key={check} icon="alert" tone="bad" to={href('/audit')} cure="Verify the trail">
        The reconciliation counts {formatNumber(count)} × <code>{check}</code>, which should be 0
      </Trouble>
    )),
    ...deadJobs.map(({ type, count }) => (
      <Trouble key={type} icon="jobs" tone="bad" to={href('/jobs', { status: 'dead', type })} cure="Look and redrive">
        {formatNumber(count)} dead {count === 1 ? 'job' : 'jobs'} of <code>{type}</code>
      </Trouble>
    )),
    ...endpoints.inTrouble.map(({ id, host, disabledAt, disabledReason, failingSince }) => (
      <Trouble
        key={id}
        icon="webhooks"
        tone={disabledAt === null ? 'warn' : 'bad'}
        to={href(`/webhooks/${id}`)}
        cure={disabledAt === null ? 'See deliveries' : 'Enable again'}
      >
        <code>{host}</code>{' '}
        {disabledAt === null ? (
          <>
            began to fail <When at={failingSince} />
          </>
        ) : (
          <>is disabled: {disabledReason}</>
        )}
      </Trouble>
    )),
    ...locks.first.map(({ subject, until }) => (
      <Trouble key={subject} icon="users" tone="warn" to={href('/users', { search: subject })} cure="Unlock">
        <code>{subject}</code> is locked after too many failures; the lock ends <When at={until} />
      </Trouble>
    )),
  ];
  return (
    <section class="card" aria-label="Needs attention">
      <h2 class="card-title">Needs attention</h2>
      {items.length === 0 ? (
        <p class="all-well">
          <Icon name="check" /> Nothing: no dead job, no failing endpoint, no lock, and the books agree.
        </p>
      ) : (
        <ul class="troubles">{items}</ul>
      )}
      {locks.count > locks.first.length && (
        <p class="muted">and {formatNumber(locks.count - locks.first.length)} more locks</p>
      )}
    </section>
  );
}

function Trouble(props: {
  icon: IconName;
  tone: 'warn' | 'bad';
  to: string;
  cure: string;
  children: ComponentChildren;
}) {
  const { icon, tone, to, cure, children } = props;
  return (
    <li>
      <a href={to} class={`trouble trouble-${tone}`}>
        <Icon name={icon} />
        <span class="trouble-text">{children}</span>
        <span class="trouble-cure">{cure}</span>
        <Icon name="chevron" />
      </a>
    </li>
  );
}

function Numbers({ data }: { data: Overview }) {
  const sum = (minutes: readonly MinuteCount[], kind?: string): number =>
    minutes.reduce((total, { counts }) => {
      const values = kind === undefined ? Object.values(counts) : [counts[kind] ?? 0];
      return total + values.reduce((a, b) => a + b, 0);
    }, 0);
  const failed = sum(data.attemptsPerMinute, 'failed');
  const last = samples.value.findLast(({ p99 }) => p99 !== null);
  return (
    <div class="numbers">
      <Figure name="Events, last hour" value={formatNumber(sum(data.eventsPerMinute))} />
      <Figure
        name="Webhook requests, last hour"
        value={formatNumber(sum(data.attemptsPerMinute))}
        note={failed > 0 ? `${formatNumber(failed)} failed` : 'none failed'}
      />
      <Figure
        name="Live connections"
        value={formatNumber(data.connections.websocket + data.connections.sse)}
        note={`${data.connections.websocket} WebSocket, ${data.connections.sse} SSE`}
      />
      <Figure name="Commit to socket, p99" value={last?.p99 == null ? '–' : formatDuration(last.p99)} />
    </div>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div class="figure">
      <div class="figure-name">{name}</div>
      <div class="figure-value">{value}</div>
      <div class="figure-note">{note ?? ' '}</div>
    </div>
  );
}

function JobStates({ data: { jobs } }: { data: Overview }) {
  const most = Math.max(1, ...Object.values(jobs));
  return (
    <Card title="Jobs by state">
      <ul class="bars">
        {JOB_STATES.map((state) => (
          <li key={state}>
            <a href={href('/jobs', { status: state })}>
              <Badge status={state} />
              <meter class={`bar bar-${state}`} min={0} max={most} value={jobs[state]} aria-label={`${state} jobs`} />
              <span class="bar-count">{formatNumber(jobs[state])}</span>
            </a>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Readers({ data: { readerLag, reconciliation } }: { data: Overview }) {
  return (
    <Card title="Readers of the journal">
      <table class="table">
        <TableHead
          caption="How far each reader of the journal is behind"
          columns={['Reader', { label: 'Events behind', is: 'number' }]}
        />
        <tbody>
          {Object.entries(readerLag).map(([name, lag]) => (
            <tr key={name}>
              <td>{name}</td>
              <td class="number">{formatNumber(lag)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="muted">
        {reconciliation ? (
          <>
            Reconciled <When at={reconciliation.checkedAt} />
          </>
        ) : (
          'Not reconciled yet: half a minute after the start'
        )}
      </p>
    </Card>
  );
}
