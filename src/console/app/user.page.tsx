import { href, useAddress } from './address.js';
import type { Account, Session } from './api-types.js';
import { ActionButton } from './button.js';
import { ask } from './dialogs.js';
import { lookAgain } from './overview.js';
import { Empty, Facts, Id, Loaded, PageHead, When } from './parts.js';
import { useResource } from './resource.js';
import { api, session } from './session.js';
import { ACTIONS, TableHead } from './table-head.js';
import { tell } from './toasts.js';
import { AccountBadges } from './users.page.js';

/** One account. */
export function UserPage({ id = '' }: { id?: string }) {
  const path = `/admin/users/${encodeURIComponent(id)}`;
  const user = useResource<Account>(path, { on: '*' });
  const sessions = useResource<{ sessions: Session[] }>(`${path}/sessions`, { on: '*' });
  const reload = async (): Promise<void> => {
    await Promise.all([user.reload(), sessions.reload(), lookAgain()]);
  };
  return (
    <>
      <PageHead title={user.data?.email ?? 'Account'} back={href('/users')}>
        {user.data && <UserActions user={user.data} reload={reload} />}
      </PageHead>
      <Loaded of={user}>
        {(data) => (
          <section class="card" aria-label="About the account">
            <Facts
              facts={[
                ['State', <AccountBadges user={data} />],
                ...(data.bannedAt === null
                  ? []
                  : ([
                      [
                        'Banned',
                        <>
                          <When at={data.bannedAt} />: {data.banReason}
                        </>,
                      ],
                    ] as const)),
                ...(data.lockedUntil === null ? [] : ([['Locked until', <When at={data.lockedUntil} />]] as const)),
                ['Role', data.role],
                ['Address verified', data.emailVerified ? 'yes' : 'no'],
                ['Second factor', data.mfaEnabled ? 'on' : 'off'],
                ['Registered', <When at={data.createdAt} />],
                ['Id', <Id id={data.id} full />],
                [
                  'Elsewhere',
                  <span class="links">
                    <a href={href('/audit', { subject: data.id })}>What happened to it</a>
                    <a href={href('/audit', { actor: data.id })}>What it did</a>
                    <a href={href('/events', { q: data.id })}>Events</a>
                  </span>,
                ],
              ]}
            />
          </section>
        )}
      </Loaded>
      <section aria-label="Sessions">
        <div class="section-head">
          <h2>Sessions</h2>
          {(sessions.data?.sessions.length ?? 0) > 0 && (
            <button type="button" class="button button-small" onClick={() => askToEndSessions(id, reload)}>
              End all
            </button>
          )}
        </div>
        <Loaded of={sessions} rows={3}>
          {(data) =>
            data.sessions.length === 0 ? (
              <Empty icon="users" title="Not logged in anywhere" />
            ) : (
              <SessionTable userId={id} sessions={data.sessions} reload={reload} />
            )
          }
        </Loaded>
      </section>
    </>
  );
}

function UserActions({ user, reload }: { user: Account; reload: () => Promise<void> }) {
  const { go } = useAddress();
  const { id, email, role, status, lockedUntil } = user;
  const me = session.value.status === 'open' ? session.value.me.id : '';
  const act = async (path: string, said: string, body?: object): Promise<void> => {
    await api.post(`/admin/users/${id}/${path}`, body);
    tell(said);
    await reload();
  };
  const changeRole = (to: 'user' | 'admin') =>
    ask({
      title: to === 'admin' ? 'Make it an admin?' : 'Take the role of an admin away?',
      text:
        to === 'admin' ? (
          <>
            <b>{email}</b> will see and manage everything.
          </>
        ) : (
          <>
            <b>{email}</b> will see only what is its own, from the next request on.
          </>
        ),
      action: to === 'admin' ? 'Make it an admin' : 'Take it away',
      run: async () => {
        await api.patch(`/admin/users/${id}/role`, { role: to });
        tell(to === 'admin' ? 'It is an admin now' : 'It is no admin any more');
        await reload();
      },
    });
  return (
    <>
      {lockedUntil !== null && (
        <ActionButton kind="primary" run={() => act('unlock', 'The lock is gone')}>
          Unlock
        </ActionButton>
      )}
      {id !== me && (
        <button type="button" class="button" onClick={() => changeRole(role === 'admin' ? 'user' : 'admin')}>
          {role === 'admin' ? 'Make a user' : 'Make an admin'}
        </button>
      )}
      {id !== me && status === 'banned' && (
        <ActionButton run={() => act('unban', 'The account may log in again')}>Unban</ActionButton>
      )}
      {id !== me && status === 'active' && (
        <button
          type="button"
          class="button button-danger-plain"
          onClick={() =>
            ask({
              title: 'Ban this account?',
              text: (
                <>
                  <b>{email}</b> is logged out everywhere at once, and cannot log in until it is unbanned.
                </>
              ),
              input: { label: 'Reason', placeholder: 'What other admins should know' },
              action: 'Ban',
              run: (reason) => act('ban', 'The account is banned', { reason }),
            })
          }
        >
          Ban
        </button>
      )}
      {id !== me && (
        <button
          type="button"
          class="button button-danger-plain"
          onClick={() =>
            ask({
              title: 'Delete this account?',
              text: (
                <>
                  <b>{email}</b> is removed with its sessions, keys and factors. This cannot be taken back.
                </>
              ),
              action: 'Delete',
              run: async () => {
                await api.delete(`/admin/users/${id}`);
                tell('The account is gone');
                go('/users');
              },
            })
          }
        >
          Delete
        </button>
      )}
    </>
  );
}

interface SessionTableProps {
  userId: string;
  sessions: Session[];
  reload: () => Promise<void>;
}

function SessionTable({ userId, sessions, reload }: SessionTableProps) {
  return (
    <table class="table">
      <TableHead
        caption="Open sessions, the one used last first"
        columns={['Device', { label: 'From', is: 'wide' }, 'Last used', { label: 'Began', is: 'wide' }, ACTIONS]}
      />
      <tbody>
        {sessions.map(({ id, userAgent, ip, lastUsedAt, createdAt }) => (
          <tr key={id}>
            <td class="cell-long" title={userAgent ?? ''}>
              {userAgent ?? 'unknown'}
            </td>
            <td class="wide">{ip}</td>
            <td>
              <When at={lastUsedAt} />
            </td>
            <td class="wide">
              <When at={createdAt} />
            </td>
            <td class="cell-actions">
              <ActionButton
                small
                run={async () => {
                  await api.delete(`/admin/users/${userId}/sessions/${id}`);
                  tell('The session has ended');
                  await reload();
                }}
              >
                End
              </ActionButton>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function askToEndSessions(userId: string, reload: () => Promise<void>): void {
  ask({
    title: 'End all sessions?',
    text: 'The account is logged out everywhere, and its live connections are closed. It can log in again.',
    action: 'End all',
    run: async () => {
      await api.delete(`/admin/users/${userId}/sessions`);
      tell('All sessions have ended');
      await reload();
    },
  });
}
