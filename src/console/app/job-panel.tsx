import type { Job } from './api-types.js';
import { Dialog } from './dialogs.js';
import { formatDuration, formatJson } from './format.js';
import { JobActions } from './jobs.page.js';
import { Badge, Code, Facts, Id, Loaded, When } from './parts.js';
import { useResource } from './resource.js';

interface JobPanelProps {
  id: string;
  onClose: () => void;
  onChange: () => Promise<void>;
}

const EVERY_MS = 2000;

/** One job: what it is to do, and what went wrong with it. */
export function JobPanel({ id, onClose, onChange }: JobPanelProps) {
  const job = useResource<Job & { payload: unknown }>(`/jobs/${encodeURIComponent(id)}`, { everyMs: EVERY_MS });
  const reload = async (): Promise<void> => {
    await Promise.all([job.reload(), onChange()]);
  };
  return (
    <Dialog title="Job" kind="drawer" onClose={onClose}>
      <Loaded of={job}>{(data) => <JobView job={data} reload={reload} />}</Loaded>
    </Dialog>
  );
}

function JobView({ job, reload }: { job: Job & { payload: unknown }; reload: () => Promise<void> }) {
  const { startedAt, finishedAt } = job;
  const isOver = startedAt !== null && finishedAt !== null;
  return (
    <>
      <p class="trace-title">
        {job.type} <Badge status={job.status} />
      </p>
      <Facts
        facts={[
          ['Id', <Id id={job.id} full />],
          ['Attempts', `${job.attempts}${job.crashes > 0 ? `, ${job.crashes} ended with the process` : ''}`],
          ['Submitted', <When at={job.createdAt} />],
          ['Started', <When at={startedAt} />],
          ['Ended', <When at={finishedAt} />],
          ...(isOver ? ([['Took', formatDuration(finishedAt - startedAt)]] as const) : []),
          ...(job.runAt === null ? [] : ([['Runs next', <When at={job.runAt} />]] as const)),
          ...(job.group === '' ? [] : ([['Group', job.group]] as const)),
          ...(job.uniqueKey === null ? [] : ([['Unique key', job.uniqueKey]] as const)),
        ]}
      />
      <div class="panel-actions">
        <JobActions job={job} reload={reload} />
      </div>
      {job.failures.length > 0 && (
        <>
          <h3>Failed attempts</h3>
          <ol class="timeline">
            {job.failures.toReversed().map(({ attempt, at, error }) => (
              <li key={`${attempt} ${at}`} class="step">
                <span class="step-number">{attempt}</span>
                <div class="step-body">
                  <When at={at} />
                  <p class="step-error">{error}</p>
                </div>
              </li>
            ))}
          </ol>
        </>
      )}
      <h3>Payload</h3>
      <Code text={formatJson(job.payload)} label="Payload" />
    </>
  );
}
