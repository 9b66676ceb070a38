import type { EventType } from '../../src/events/catalogue.js';
import type { Api, TestUser, Tokens } from './api.js';

type Transport = 'websocket' | 'sse';
/** One connection of an account: what it was opened with, and how. */
export type ConnectionName = `${'first' | 'second' | 'key'} ${Transport}`;

const FIRST = ['first websocket', 'first sse'] as const;
const SECOND = ['second websocket', 'second sse'] as const;
const KEY = ['key websocket', 'key sse'] as const;

/** An account with two sessions and an API key that may read its events. */
export interface Holder {
  /** The account, with the tokens of its first session. */
  user: TestUser;
  second: Tokens;
  key: { id: string; rawKey: string };
}

/** What an act needs beside the account that it concerns. */
export interface Means {
  api: Api;
  /** An admin's access token. */
  admin: string;
  /** Gets a token that resets the password of an account. */
  resetToken: (user: TestUser) => Promise<string>;
}

interface RestCall {
  method: 'POST' | 'PATCH' | 'DELETE';
  path: string;
  token?: string;
  body?: object;
}

/** An act that ends connections, or might be thought to. */
export interface Revocation {
  name: string;
  /** Does what must come before, and returns the one request that is the act. */
  prepare: (holder: Holder, means: Means) => RestCall | Promise<RestCall>;
  /** How the request is answered. @default any 2xx */
  status?: number;
  /** The connections of the account that it ends, and no others. */
  ends: readonly ConnectionName[];
  /** The events that tell of it, from the first preparation on. */
  told: readonly EventType[];
}

/** Makes an account with everything that can be taken from it. */
export async function newHolder(api: Api): Promise<Holder> {
  const user = await api.register();
  const second = await api.login(user);
  const body = { name: 'A program', scopes: ['events:read'] };
  const { data } = (await api.post('/api-keys', body, user.accessToken)).body;
  return { user, second, key: { id: data.key.id as string, rawKey: data.rawKey as string } };
}

async function sessionIdOf(api: Api, { accessToken }: Tokens): Promise<string> {
  const { sessions } = (await api.get('/users/me/sessions', accessToken)).body.data;
  return (sessions as { id: string; current: boolean }[]).find(({ current }) => current)?.id ?? '';
}

async function closeFirst(transport: Transport, { user }: Holder, { api, admin }: Means): Promise<RestCall> {
  const sessionId = await sessionIdOf(api, user);
  const { connections } = (await api.get('/realtime/connections', admin)).body.data;
  const connection = (connections as { id: string; sessionId: string | null; transport: string }[]).find(
    (one) => one.sessionId === sessionId && one.transport === transport,
  );
  return { method: 'DELETE', path: `/realtime/connections/${connection?.id}`, token: admin };
}

const refresh = ({ refreshToken }: { refreshToken: string }): RestCall => ({
  method: 'POST',
  path: '/auth/refresh',
  body: { refreshToken },
});
const wrongLogin = ({ email }: TestUser) => ({ email, password: 'x' });

/** Every act that takes somebody's access away, or comes near it, with the connections that it ends. */
export const REVOCATIONS: readonly Revocation[] = [
  {
    name: 'a logout',
    prepare: ({ user: { accessToken: token, refreshToken } }) => ({
      method: 'POST',
      path: '/auth/logout',
      token,
      body: { refreshToken },
    }),
    ends: FIRST,
    told: ['logout'],
  },
  {
    name: 'one session ended by its owner',
    prepare: async ({ user, second }, { api }) => ({
      method: 'DELETE',
      path: `/users/me/sessions/${await sessionIdOf(api, second)}`,
      token: user.accessToken,
    }),
    ends: SECOND,
    told: ['logout'],
  },
  {
    name: 'all other sessions ended by their owner',
    prepare: ({ user }) => ({ method: 'DELETE', path: '/users/me/sessions', token: user.accessToken }),
    ends: SECOND,
    told: ['logout'],
  },
  {
    name: 'a password change',
    prepare: ({ user: { password: currentPassword, accessToken: token } }) => ({
      method: 'PATCH',
      path: '/users/me',
      token,
      body: { currentPassword, password: 'Another-horse-2' },
    }),
    ends: SECOND,
    told: ['password.changed'],
  },
  {
    name: 'a password reset',
    prepare: async ({ user }, { resetToken }) => ({
      method: 'POST',
      path: '/auth/reset-password',
      body: { token: await resetToken(user), password: 'Another-horse-2' },
    }),
    ends: [...FIRST, ...SECOND],
    told: ['password.reset'],
  },
  {
    name: 'a ban',
    prepare: ({ user }, { admin: token }) => ({
      method: 'POST',
      path: `/admin/users/${user.id}/ban`,
      token,
      body: { reason: 'spam' },
    }),
    ends: [...FIRST, ...SECOND, ...KEY],
    told: ['user.updated'],
  },
  {
    name: 'a deletion by oneself',
    prepare: ({ user }) => ({ method: 'DELETE', path: '/users/me', token: user.accessToken }),
    ends: [...FIRST, ...SECOND, ...KEY],
    told: ['user.deleted'],
  },
  {
    name: 'a deletion by an admin',
    prepare: ({ user }, { admin: token }) => ({ method: 'DELETE', path: `/admin/users/${user.id}`, token }),
    ends: [...FIRST, ...SECOND, ...KEY],
    told: ['user.deleted'],
  },
  {
    name: 'an API key revoked',
    prepare: ({ user, key }) => ({ method: 'DELETE', path: `/api-keys/${key.id}`, token: user.accessToken }),
    ends: KEY,
    told: ['api_key.revoked'],
  },
  {
    name: 'one session ended by an admin',
    prepare: async ({ user, second }, { api, admin: token }) => ({
      method: 'DELETE',
      path: `/admin/users/${user.id}/sessions/${await sessionIdOf(api, second)}`,
      token,
    }),
    ends: SECOND,
    told: [],
  },
  {
    name: 'all sessions ended by an admin',
    prepare: ({ user }, { admin: token }) => ({ method: 'DELETE', path: `/admin/users/${user.id}/sessions`, token }),
    ends: [...FIRST, ...SECOND],
    told: [],
  },
  {
    name: 'a WebSocket closed by an admin',
    prepare: (holder, means) => closeFirst('websocket', holder, means),
    ends: ['first websocket'],
    told: [],
  },
  {
    name: 'a stream closed by an admin',
    prepare: (holder, means) => closeFirst('sse', holder, means),
    ends: ['first sse'],
    told: [],
  },
  {
    name: 'a refresh token stolen and used again',
    prepare: async ({ user }, { api }) => {
      const { body } = await api.post('/auth/refresh', { refreshToken: user.refreshToken });
      await api.post('/auth/refresh', { refreshToken: body.data.refreshToken as string });
      return refresh(user);
    },
    status: 401,
    ends: FIRST,
    told: [],
  },
  { name: 'a refresh', prepare: ({ user }) => refresh(user), ends: [], told: [] },
  {
    name: 'a refresh by two tabs at once',
    prepare: async ({ user }, { api }) => {
      await api.post('/auth/refresh', { refreshToken: user.refreshToken });
      return refresh(user);
    },
    ends: [],
    told: [],
  },
  {
    name: 'a change of role',
    prepare: ({ user }, { admin: token }) => ({
      method: 'PATCH',
      path: `/admin/users/${user.id}/role`,
      token,
      body: { role: 'admin' },
    }),
    ends: [],
    told: ['user.updated'],
  },
  {
    name: 'a lock',
    prepare: async ({ user }, { api }) => {
      for (let n = 0; n < 4; n += 1) await api.post('/auth/login', wrongLogin(user));
      return { method: 'POST', path: '/auth/login', body: wrongLogin(user) };
    },
    status: 403,
    ends: [],
    told: ['login.failed', 'login.failed', 'login.failed', 'login.failed', 'login.failed', 'account.locked'],
  },
];
