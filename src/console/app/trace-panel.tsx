import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { href } from './address.js';
import type { Trace } from './api-types.js';
import { Dialog } from './dialogs.js';
import { formatClock, formatDuration, formatExact, formatJson } from './format.js';
import { Icon, type IconName } from './icon.js';
import { Badge, Code, EventType, Facts, Id, Loaded } from './parts.js';
import { useResource } from './resource.js';

/** How often a trace is read again while something of it goes on. */
const AGAIN_MS = 1000;

/** One thing of an event's life. */
interface Step {
  at: number;
  icon: IconName;
  title: ComponentChildren;
  status?: string;
  durationMs?: number | null;
  note?: ComponentChildren;
}

/** The life of one event, from its request to the last thing that came of it. */
export function TracePanel({ id, onClose }: { id: string; onClose: () => void }) {
  const resource = useResource<Trace>(`/events/${encodeURIComponent(id)}/trace`);
  const { data, reload } = resource;
  useEffect(() => {
    if (!data || !goesOn(data)) return undefined;
    const timer = setTimeout(() => void reload(), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [data]);
  return (
    <Dialog title="Event" kind="drawer" onClose={onClose}>
      <Loaded of={resource}>{(trace) => <TraceView trace={trace} />}</Loaded>
    </Dialog>
  );
}

function TraceView({ trace }: { trace: Trace }) {
  const { event, request, readers } = trace;
  const start = Date.parse(event.timestamp);
  const waiting = readers.filter(({ status }) => status === 'waiting').map(({ name }) => name);
  return (
    <>
      <p class="trace-title">
        <EventType type={event.type} />
        <Badge status={trace.commit.outcome} />
      </p>
      <Facts
        facts={[
          ['Id', <Id id={event.id} full />],
          ['Time', formatExact(start)],
          [
            'Actor',
            request?.actorId ? <a href={href(`/users/${request.actorId}`)}>{request.actorId}</a> : 'nobody logged in',
          ],
          ['From', request?.ip ?? 'the service itself'],
          ['Client', request?.userAgent ?? '–'],
          ['Request', request?.requestId ? <Id id={request.requestId} full /> : '–'],
        ]}
      />
      <h3>What came of it</h3>
      <ol class="timeline" aria-label="Timeline">
        {stepsOf(trace).map((step, at) => (
          <TimelineStep key={at} step={step} start={start} />
        ))}
      </ol>
      {waiting.length > 0 && <p class="muted">Waiting for: {waiting.join(', ')}</p>}
      <h3>Payload</h3>
      <Code text={formatJson(event.payload)} label="Payload" />
    </>
  );
}

function TimelineStep({ step: { at, icon, title, status, durationMs, note }, start }: { step: Step; start: number }) {
  return (
    <li class="step">
      <span class="step-icon">
        <Icon name={icon} />
      </span>
      <div class="step-body">
        <div class="step-title">
          <span>{title}</span>
          {status !== undefined && <Badge status={status} />}
        </div>
        <div class="muted">
          <time dateTime={new Date(at).toISOString()} title={formatExact(at)}>
            {formatClock(at)}
          </time>
          {at > start && ` · +${formatDuration(at - start)}`}
          {durationMs != null && ` · took ${formatDuration(durationMs)}`}
        </div>
        {note}
      </div>
    </li>
  );
}

function stepsOf({ event, request, jobs, deliveries, mails }: Trace): Step[] {
  const start = Date.parse(event.timestamp);
  const steps: Step[] = [{ at: start, icon: 'events', title: 'Event, committed with what caused it' }];
  if (request?.requestId)
    steps.unshift({ at: start, icon: 'request', title: `Request from ${request.ip ?? 'nowhere'}` });
  for (const job of jobs) {
    const mail = mails.find(({ jobId }) => jobId === job.id);
    const failure = job.failures.at(-1);
    steps.push({
      at: job.createdAt,
      icon: mail ? 'mail' : 'jobs',
      title: mail ? (
        <>
          Mail “{mail.template}” to {mail.to}
        </>
      ) : (
        <>
          Job <a href={href('/jobs', { job: job.id })}>{job.type}</a>
        </>
      ),
      status: job.status,
      durationMs: job.finishedAt === null ? null : job.finishedAt - job.createdAt,
      note: failure && <p class="step-error">{failure.error}</p>,
    });
  }
  for (const { id, endpointId, createdAt, status, finishedAt, attempts } of deliveries) {
    steps.push({
      at: createdAt,
      icon: 'webhooks',
      title: (
        <>
          Webhook <a href={href(`/webhooks/${endpointId}`, { delivery: id })}>delivery</a>
        </>
      ),
      status,
      durationMs: finishedAt === null ? null : finishedAt - createdAt,
      note: (
        <ul class="step-attempts">
          {attempts.map((attempt) => (
            <li key={attempt.number}>
              Attempt {attempt.number}: {attempt.status ?? attempt.error ?? 'no answer'} in{' '}
              {formatDuration(attempt.durationMs)}
            </li>
          ))}
        </ul>
      ),
    });
  }
  return steps.toSorted((a, b) => a.at - b.at);
}

function goesOn({ readers, jobs, deliveries }: Trace): boolean {
  const states = [...readers, ...jobs, ...deliveries].map(({ status }) => status);
  return states.some((status) => status === 'waiting' || status === 'pending' || status === 'processing');
}
