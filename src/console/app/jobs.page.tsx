import { href, useAddress } from './address.js';
import { JOB_STATES, type Job, type JobState, type JobTypeStats } from './api-types.js';
import { ActionButton } from './button.js';
import { ask } from './dialogs.js';
import { formatNumber } from './format.js';
import { JobPanel } from './job-panel.js';
import { MoreRows, usePages } from './more-rows.js';
import { lookAgain } from './overview.js';
import { Badge, Empty, Id, Loaded, PageHead, When } from './parts.js';
import { useResource } from './resource.js';
import { api } from './session.js';
import { ACTIONS, TableHead } from './table-head.js';
import { tell } from './toasts.js';

const EVERY_MS = 3000;

/** The queue and its dead letters. */
export function JobsPage() {
  const { query, set } = useAddress();
  const { status, type, job } = query;
  const types = useResource<{ types: JobTypeStats[] }>('/jobs/types', { everyMs: EVERY_MS });
  const jobs = usePages<Job>('/jobs', { status, type }, { everyMs: EVERY_MS });
  const reload = async (): Promise<void> => {
    await Promise.all([types.reload(), jobs.reload(), lookAgain()]);
  };
  const all = types.data?.types ?? [];
  const dead = all.find((one) => one.type === type)?.dead ?? 0;
  return (
    <>
      <PageHead title="Jobs">
        {type !== undefined && dead > 0 && (
          <ActionButton kind="primary" run={() => redrive(type).then(reload)}>
            Redrive {formatNumber(dead)} dead
          </ActionButton>
        )}
      </PageHead>
      <StateTabs types={all} type={type} status={status} />
      <div class="filters">
        <label class="field-inline">
          <span>Type</span>
          <select value={type ?? ''} onChange={({ currentTarget }) => set({ type: currentTarget.value })}>
            <option value="">All types</option>
            {type !== undefined && !all.some((one) => one.type === type) && <option value={type}>{type}</option>}
            {all.map((one) => (
              <option key={one.type} value={one.type}>
                {one.type}
                {one.dead > 0 ? ` (${one.dead} dead)` : ''}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Loaded of={jobs}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="jobs" title={status === 'dead' ? 'No dead job' : 'No such job'}>
              {status === 'dead' ? 'What fails for good waits here for a person.' : 'Nothing fits these filters.'}
            </Empty>
          ) : (
            <JobTable jobs={rows} open={(id) => set({ job: id })} reload={reload} />
          )
        }
      </Loaded>
      <MoreRows more={jobs.more} />
      {job !== undefined && <JobPanel id={job} onClose={() => set({ job: undefined })} onChange={reload} />}
    </>
  );
}

function StateTabs({
  types,
  type,
  status,
}: {
  types: JobTypeStats[];
  type: string | undefined;
  status: string | undefined;
}) {
  const counted = type === undefined ? types : types.filter((one) => one.type === type);
  const count = (state: JobState): number => counted.reduce((sum, one) => sum + one[state], 0);
  return (
    <nav class="tabs" aria-label="States">
      <a href={href('/jobs', { type })} aria-current={status === undefined ? 'page' : undefined}>
        All
      </a>
      {JOB_STATES.map((state) => (
        <a
          key={state}
          href={href('/jobs', { type, status: state })}
          aria-current={status === state ? 'page' : undefined}
        >
          {state} <span class="muted">{formatNumber(count(state))}</span>
        </a>
      ))}
    </nav>
  );
}

function JobTable({ jobs, open, reload }: { jobs: Job[]; open: (id: string) => void; reload: () => Promise<void> }) {
  return (
    <table class="table">
      <TableHead
        caption="Jobs, the newest first"
        columns={[
          'Type',
          'State',
          { label: 'Attempts', is: 'wide number' },
          { label: 'Submitted', is: 'wide' },
          { label: 'Last error', is: 'wide' },
          ACTIONS,
        ]}
      />
      <tbody>
        {jobs.map((job) => (
          <tr key={job.id} data-id={job.id}>
            <td>
              <button type="button" class="link" onClick={() => open(job.id)}>
                {job.type}
              </button>
              <div class="cell-note">
                <Id id={job.id} />
              </div>
            </td>
            <td>
              <Badge status={job.status} />
            </td>
            <td class="wide number">{job.attempts}</td>
            <td class="wide">
              <When at={job.createdAt} />
            </td>
            <td class="wide cell-long" title={job.failures.at(-1)?.error}>
              {job.failures.at(-1)?.error ?? <span class="muted">–</span>}
            </td>
            <td class="cell-actions">
              <JobActions job={job} reload={reload} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What can be done to a job in its state. */
export function JobActions({ job, reload }: { job: Job; reload: () => Promise<void> }) {
  const canRetry = job.status === 'dead' || job.status === 'failed';
  const canDiscard = canRetry || job.status === 'pending';
  return (
    <>
      {canRetry && (
        <ActionButton small run={() => retry(job).then(reload)}>
          Retry
        </ActionButton>
      )}
      {canDiscard && (
        <button type="button" class="button button-small" onClick={() => askToDiscard(job, reload)}>
          Discard
        </button>
      )}
    </>
  );
}

async function retry({ id, type }: Job): Promise<void> {
  await api.post(`/jobs/${id}/retry`);
  tell(`The ${type} job runs again`);
}

async function redrive(type: string): Promise<void> {
  const { redriven } = await api.post<{ redriven: number }>('/jobs/redrive', { type });
  tell(`${formatNumber(redriven)} ${redriven === 1 ? 'job runs' : 'jobs run'} again`);
}

function askToDiscard({ id, type }: Job, reload: () => Promise<void>): void {
  ask({
    title: 'Discard this job?',
    text: (
      <>
        The <code>{type}</code> job is removed, and what it was to do does not happen. This cannot be taken back.
      </>
    ),
    action: 'Discard',
    run: async () => {
      await api.delete(`/jobs/${id}`);
      tell('The job is gone');
      await reload();
    },
  });
}
