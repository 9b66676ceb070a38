import { signal } from '@preact/signals';
import { HeraldClient, HeraldError } from '../../client/herald-client.js';
import type { Profile } from './api-types.js';

/** Who is there: nobody knows yet, nobody, or an admin. */
export type SessionState =
  | { status: 'checking' }
  | { status: 'anonymous'; /** Why, where it was not by choice. */ notice?: string }
  | { status: 'open'; me: Profile };

interface Tokens {
  accessToken: string;
  refreshToken: string;
}

/** What a login with the right password may answer with instead of tokens. */
interface MfaRequired {
  mfaRequired: true;
  mfaToken: string;
}

const NOT_ADMIN = 'This account is not an admin: the console is for admins alone.';
const OTHER_ACCOUNT = 'Another account has logged in in this browser. Log in to go on.';

/** Who is there. */
export const session = signal<SessionState>({ status: 'checking' });
/** The access token of a login, until the client has taken it. */
let firstToken: string | undefined;

/** The one connection and the API. Its access token lives in memory; the cookie that renews it is out of reach here. */
export const client = new HeraldClient();
/** Asks the API. */
export const { api } = client;

/** Goes on with the session of the cookie, if there is one. */
export async function restoreSession(): Promise<void> {
  try {
    await enter();
  } catch (error) {
    if (!(error instanceof HeraldError) || error.status !== 401) throw error;
    session.value = { status: 'anonymous' };
  }
}

/** Logs in. @returns the token to show with a code, where a second factor is asked for. @throws HeraldError */
export async function logIn(email: string, password: string): Promise<string | undefined> {
  const answer = await api.post<Tokens | MfaRequired>('/auth/login', { email, password });
  if ('mfaToken' in answer) return answer.mfaToken;
  await open(answer);
  return undefined;
}

/** Completes a login with a code of the app, or a recovery code. @throws HeraldError */
export async function verifyMfa(mfaToken: string, code: string): Promise<void> {
  await open(await api.post<Tokens>('/auth/mfa/verify', { mfaToken, code }));
}

/** Ends the session, on the server and then here. @throws HeraldError, and all stays as it was */
export async function logOut(notice?: string): Promise<void> {
  await callSession('DELETE', '');
  leave(notice);
}

/** Shows the login again. */
export function leave(notice?: string): void {
  client.close();
  session.value = { status: 'anonymous', ...(notice !== undefined && { notice }) };
}

async function open({ refreshToken }: Tokens): Promise<void> {
  const { accessToken } = (await callSession('POST', '', { refreshToken })) as { accessToken: string };
  firstToken = accessToken;
  await enter();
}

async function enter(): Promise<void> {
  client.connect({ auth: async () => takeFirst() ?? renew() });
  const me = await api.get<Profile>('/users/me');
  if (me.role !== 'admin') {
    client.close();
    await logOut(NOT_ADMIN);
    throw new HeraldError('FORBIDDEN', NOT_ADMIN, 403);
  }
  session.value = { status: 'open', me };
}

function takeFirst(): string | undefined {
  const token = firstToken;
  firstToken = undefined;
  return token;
}

/** Gets an access token for the cookie; one tab after the other, so that each sends the newest. */
async function renew(): Promise<string> {
  const refresh = async () => (await callSession('POST', '/refresh')) as { accessToken: string };
  // Browsers have locks on https and localhost alone; elsewhere the service forgives two tabs at once for 10 s.
  const { locks } = navigator as { locks?: LockManager };
  const { accessToken } = await (locks ? locks.request('herald console session', refresh) : refresh());
  refuseOther(accessToken);
  return accessToken;
}

/** Shows the login when a token is not of who is shown: the cookie belongs to all tabs, and another may have logged in. */
function refuseOther(token: string): void {
  const state = session.peek();
  if (state.status !== 'open' || subjectOf(token) === state.me.id) return;
  leave(OTHER_ACCOUNT);
  throw new HeraldError('UNAUTHORIZED', OTHER_ACCOUNT, 401);
}

/** Reads whose a JWT is (RFC 7519 §4.1.2). */
function subjectOf(token: string): string {
  const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
  return (JSON.parse(atob(payload)) as { sub: string }).sub;
}

async function callSession(method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`/console/session${path}`, {
    method,
    headers: { 'X-Herald-Console': '1', ...(body && { 'Content-Type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    throw new HeraldError('NETWORK', 'The service was not reached', 0, [], undefined, undefined, { cause: error });
  });
  const answer = response.status === 204 ? undefined : await response.json().catch(() => undefined);
  if (response.ok) return (answer as { data: unknown } | undefined)?.data;
  const { error, requestId } = (answer ?? {}) as { error?: { code: string; message: string }; requestId?: string };
  const { code = 'HTTP', message = `The answer was ${response.status}` } = error ?? {};
  throw new HeraldError(code, message, response.status, [], requestId);
}
