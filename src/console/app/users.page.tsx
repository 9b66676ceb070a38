import { href, useAddress } from './address.js';
import type { Account } from './api-types.js';
import { MoreRows, usePages } from './more-rows.js';
import { Badge, Empty, Loaded, PageHead, When } from './parts.js';
import { SearchField } from './search-field.js';
import { TableHead } from './table-head.js';

/** Accounts. */
export function UsersPage() {
  const { query, set } = useAddress();
  const { search, role } = query;
  const users = usePages<Account>('/admin/users', { search, role }, { on: 'user.*' });
  return (
    <>
      <PageHead title="Users" />
      <div class="filters">
        <SearchField
          label="Search"
          placeholder="Email address"
          value={search ?? ''}
          onChange={(text) => set({ search: text }, { replace: true })}
        />
        <label class="field-inline">
          <span>Role</span>
          <select value={role ?? ''} onChange={({ currentTarget }) => set({ role: currentTarget.value })}>
            <option value="">All</option>
            <option>admin</option>
            <option>user</option>
          </select>
        </label>
      </div>
      <Loaded of={users}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon="users" title="No such account">
              An address can be locked without having an account: its lock ends by itself.
            </Empty>
          ) : (
            <UserTable users={rows} />
          )
        }
      </Loaded>
      <MoreRows more={users.more} />
    </>
  );
}

/** What an account is like, one word each. */
export function AccountBadges({ user }: { user: Account }) {
  return (
    <span class="badges">
      {user.role === 'admin' && <Badge status="admin" />}
      {user.status === 'banned' && <Badge status="banned" />}
      {user.lockedUntil !== null && <Badge status="locked" />}
      {user.status === 'active' && user.lockedUntil === null && user.role === 'user' && <Badge status="active" />}
    </span>
  );
}

function UserTable({ users }: { users: Account[] }) {
  return (
    <table class="table">
      <TableHead
        caption="Accounts, the newest first"
        columns={[
          'Email address',
          'State',
          { label: 'Verified', is: 'wide' },
          { label: 'Second factor', is: 'wide' },
          { label: 'Registered', is: 'wide' },
        ]}
      />
      <tbody>
        {users.map((user) => (
          <tr key={user.id}>
            <td class="cell-long">
              <a href={href(`/users/${user.id}`)}>{user.email}</a>
            </td>
            <td>
              <AccountBadges user={user} />
            </td>
            <td class="wide">{user.emailVerified ? 'yes' : 'no'}</td>
            <td class="wide">{user.mfaEnabled ? 'on' : 'off'}</td>
            <td class="wide">
              <When at={user.createdAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
