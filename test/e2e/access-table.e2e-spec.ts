import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { generateSync } from 'otplib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HTTP_STATUS, type ErrorCode } from '../../src/common/app-error.js';
import { SCOPES, type Scope } from '../../src/common/principal.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { LocalMailbox } from '../../src/mail/local-mailbox.service.js';
import { mailedToken } from '../support/accounts.js';
import type { Answer, TestUser, Tokens } from '../support/api.js';
import { deadJob } from '../support/jobs.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

/** Who asks. `user` owns what the path names. The keys are an admin's, since a key never does more than its owner. */
const COLUMNS = ['none', 'user', 'other', 'admin', 'key', 'keyWithout', 'banned', 'loggedOut'] as const;
type Column = (typeof COLUMNS)[number];

/** The status for each. `key` has `scope` and nothing else, `keyWithout` all but that; with no scope, both have all. */
type Access = Record<Column, number> & { scope?: Scope | undefined };

/** What stands in paths in place of something. */
const PLACES = ['id', 'name', 'userId', 'version', 'file'] as const;

/** What a request needs beside its route: made for it, and good whoever asks, so that the caller alone decides. */
interface Needs extends Partial<Record<(typeof PLACES)[number], () => string | Promise<string>>> {
  body?: object | ((account: TestUser) => object | Promise<object>);
  /** For what would disturb later requests, or needs something of the asker's own: every account is made for it. */
  fresh?: true;
}

type Row = [route: string, access: Access, needs?: Needs];

/** A public route: no token and no key changes the answer, a worthless one neither. */
const anyone = (s: number): Access => {
  return { none: s, user: s, other: s, admin: s, key: s, keyWithout: s, banned: s, loggedOut: s };
};
/** A route behind the guard: nobody gets 401, a key without the scope 403; one with it is its owner, the admin. */
const known = (user: number, other: number, admin: number, scope?: Scope): Access => {
  const key = scope === undefined ? 403 : admin;
  return { none: 401, user, other, admin, key, keyWithout: 403, banned: 401, loggedOut: 401, scope };
};
/** Everybody who is logged in, about themselves. */
const self = (s: number, scope?: Scope) => known(s, s, s, scope);
/** The owner alone: for everybody else, admins too, the thing does not exist. */
const owner = (s: number, scope?: Scope) => known(s, 404, 404, scope);
/** The owner and admins: for everybody else the thing does not exist. */
const ownerOrAdmin = (s: number, scope?: Scope) => known(s, 404, s, scope);
const admins = (s: number, scope?: Scope) => known(403, 403, s, scope);

let server: TestServer;
let receiver: Receiver;
const people = {} as Record<Exclude<Column, 'none' | 'key' | 'keyWithout'>, TestUser>;
/** Keys of the admin, by their scopes. */
const keys = new Map<string, string>();

/** Calls the API for the test's own needs, by default as the admin, and returns the data. */
async function call(route: string, body?: object, token = people.admin.accessToken): Promise<Answer['body']> {
  const [method = '', path = ''] = route.split(' ');
  const answer = await server.api.call(method, path, { token, ...(body && { body }) });
  if (answer.status >= 300) throw new Error(`${route} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body?.data;
}

const PASSWORD = 'Another-horse-2';
const newAccount = () => ({ email: `${randomUUID()}@example.com`, password: PASSWORD });
const newAccountId = async () => (await server.api.register()).id;
const newPassword = ({ password }: TestUser) => ({ password: PASSWORD, currentPassword: password });
const refreshToken = ({ refreshToken: token }: Tokens) => ({ refreshToken: token });
const setUpMfa = async ({ accessToken }: TestUser) => {
  const { secret } = await call('POST /auth/mfa/setup', undefined, accessToken);
  return { secret, code: generateSync({ secret }) };
};
/** Returns a recovery code: that of the app is used up for its thirty seconds. */
const enableMfa = async (by: TestUser) => {
  const { recoveryCodes } = await call('POST /auth/mfa/enable', await setUpMfa(by), by.accessToken);
  return { code: recoveryCodes[0] };
};
const halfLogin = async () => {
  const made = await server.api.register();
  const { code } = await enableMfa(made);
  const { mfaToken } = await call('POST /auth/login', { email: made.email, password: made.password });
  return { mfaToken, code };
};
const mail = async () => {
  await server.app.get(DurableReaders).caughtUp();
  await server.app.get(JobWorker).idle();
  return (await server.app.get(LocalMailbox).list())[0]?.name ?? 'none';
};
const mailedTo = (page: string, { email }: TestUser) => mailedToken(server, page, email);
const verification = async () => ({ token: await mailedTo('verify-email', await server.api.register()) });
const reset = async () => {
  const made = await server.api.register();
  await call('POST /auth/forgot-password', { email: made.email });
  return { token: await mailedTo('reset-password', made), password: PASSWORD };
};
const sessionOfUser = async () => {
  const { accessToken } = await server.api.login(people.user);
  const { sessions } = await call('GET /users/me/sessions', undefined, accessToken);
  return sessions.find(({ current }: { current: boolean }) => current).id as string;
};
const newKey = (scopes: readonly Scope[] = ['events:read']) => ({ name: 'A program', scopes });
const keyOfUser = async () => (await call('POST /api-keys', newKey(), people.user.accessToken)).key.id as string;
const eventOfUser = async () => (await call('GET /events', undefined, people.user.accessToken)).items[0].id as string;
/** For an event of which there is none here: tests alone are sent. */
const newEndpoint = () => ({ url: receiver.url, events: ['account.locked'] });
const endpoint = async () => (await call('POST /webhooks', newEndpoint())).id as string;
/** One that is over, whether or not it arrived: its endpoint was disabled and enabled again. */
const delivery = async () => {
  const to = await endpoint();
  const { id } = await call(`POST /webhooks/${to}/test`);
  for (const enabled of [false, true]) await call(`PATCH /webhooks/${to}`, { enabled });
  return id as string;
};
const connectionOfUser = async () => {
  const before = new Set((await call('GET /realtime/connections')).connections.map(({ id }: { id: string }) => id));
  await server.subscriber(people.user.accessToken);
  const { connections } = await call('GET /realtime/connections');
  return connections.find(({ id }: { id: string }) => !before.has(id)).id as string;
};
const pageVersion = async () =>
  /\/docs\/html\/(\w+)\/start\.js/.exec(await (await fetch(`${server.url}/docs/html`)).text())?.[1] ?? '';
const newDeadJob = () => deadJob(server);
const noteOfUser = async () => (await call('POST /notes', { text: 'x' }, people.user.accessToken)).id as string;

const API: Row[] = [
  ['POST /auth/register', anyone(201), { body: newAccount }],
  ['POST /auth/login', anyone(200), { body: ADMIN }],
  ['POST /auth/mfa/verify', anyone(200), { body: halfLogin }],
  ['POST /auth/refresh', { ...anyone(200), banned: 401, loggedOut: 401 }, { fresh: true, body: refreshToken }],
  ['POST /auth/logout', self(204), { fresh: true, body: refreshToken }],
  ['POST /auth/verify-email', anyone(200), { body: verification }],
  ['POST /auth/resend-verification', self(200)],
  ['POST /auth/forgot-password', anyone(200), { body: { email: ADMIN.email } }],
  ['POST /auth/reset-password', anyone(200), { body: reset }],
  ['POST /auth/mfa/setup', self(200)],
  ['POST /auth/mfa/enable', self(200), { fresh: true, body: setUpMfa }],
  ['POST /auth/mfa/disable', self(200), { fresh: true, body: enableMfa }],
  ['GET /users/me', self(200, 'users:read')],
  ['PATCH /users/me', self(200), { fresh: true, body: newPassword }],
  ['DELETE /users/me', self(204), { fresh: true }],
  ['GET /users/me/sessions', self(200)],
  ['DELETE /users/me/sessions', self(204), { fresh: true }],
  ['DELETE /users/me/sessions/:id', owner(204), { id: sessionOfUser }],
  ['GET /api-keys', self(200)],
  ['POST /api-keys', self(201), { body: newKey() }],
  ['DELETE /api-keys/:id', owner(204), { id: keyOfUser }],
  ['GET /admin/users', admins(200, 'users:read')],
  ['POST /admin/users', admins(201, 'users:manage'), { body: newAccount }],
  ['GET /admin/users/:id', admins(200, 'users:read'), { id: () => people.other.id }],
  ['PATCH /admin/users/:id/role', admins(200, 'users:manage'), { id: newAccountId, body: { role: 'admin' } }],
  ['POST /admin/users/:id/ban', admins(200, 'users:manage'), { id: newAccountId, body: { reason: 'spam' } }],
  ['POST /admin/users/:id/unban', admins(200, 'users:manage'), { id: () => people.other.id }],
  ['POST /admin/users/:id/unlock', admins(200, 'users:manage'), { id: () => people.other.id }],
  ['DELETE /admin/users/:id', admins(204, 'users:manage'), { id: newAccountId }],
  ['GET /admin/users/:userId/sessions', admins(200, 'users:read'), { userId: () => people.other.id }],
  ['DELETE /admin/users/:userId/sessions', admins(204, 'users:manage'), { userId: newAccountId }],
  [
    'DELETE /admin/users/:userId/sessions/:id',
    admins(204, 'users:manage'),
    { userId: () => people.user.id, id: sessionOfUser },
  ],
  ['GET /admin/overview', admins(200, 'audit:read')],
  ['GET /audit', admins(200, 'audit:read')],
  ['GET /audit/verification', admins(200, 'audit:read')],
  ['GET /events', self(200, 'events:read')],
  ['GET /events/types', self(200, 'events:read')],
  ['GET /events/stream', self(200, 'events:read')],
  ['POST /events/stream-tickets', self(201, 'events:read')],
  ['GET /events/:id', ownerOrAdmin(200, 'events:read'), { id: eventOfUser }],
  ['GET /events/:id/trace', ownerOrAdmin(200, 'audit:read'), { id: eventOfUser }],
  ['GET /webhooks', admins(200, 'webhooks:manage')],
  ['POST /webhooks', admins(201, 'webhooks:manage'), { body: newEndpoint }],
  ['GET /webhooks/:id', admins(200, 'webhooks:manage'), { id: endpoint }],
  ['PATCH /webhooks/:id', admins(200, 'webhooks:manage'), { id: endpoint, body: { enabled: false } }],
  ['DELETE /webhooks/:id', admins(204, 'webhooks:manage'), { id: endpoint }],
  ['POST /webhooks/:id/test', admins(202, 'webhooks:manage'), { id: endpoint }],
  ['POST /webhooks/:id/rotate-secret', admins(200, 'webhooks:manage'), { id: endpoint }],
  ['GET /webhooks/:id/deliveries', admins(200, 'webhooks:manage'), { id: endpoint }],
  ['GET /webhooks/deliveries/:id/details', admins(200, 'webhooks:manage'), { id: delivery }],
  ['POST /webhooks/deliveries/:id/redeliver', admins(202, 'webhooks:manage'), { id: delivery }],
  ['POST /webhooks/:id/replay', admins(202, 'webhooks:manage'), { id: endpoint }],
  ['GET /realtime/connections', admins(200, 'realtime:manage')],
  ['DELETE /realtime/connections/:id', admins(204, 'realtime:manage'), { id: connectionOfUser }],
  ['GET /jobs', admins(200, 'jobs:manage')],
  ['GET /jobs/types', admins(200, 'jobs:manage')],
  ['GET /jobs/stats', admins(200, 'jobs:manage')],
  ['GET /jobs/:id', admins(200, 'jobs:manage'), { id: newDeadJob }],
  ['POST /jobs/redrive', admins(200, 'jobs:manage'), { body: { type: 'auth.forgot-password' } }],
  ['POST /jobs/:id/retry', admins(200, 'jobs:manage'), { id: newDeadJob }],
  ['DELETE /jobs/:id', admins(204, 'jobs:manage'), { id: newDeadJob }],
  ['GET /notes', self(200)],
  ['POST /notes', self(201), { body: { text: 'x' } }],
  ['GET /notes/:id', owner(200), { id: noteOfUser }],
  ['PATCH /notes/:id', owner(200), { id: noteOfUser, body: { text: 'y' } }],
  ['DELETE /notes/:id', owner(204), { id: noteOfUser }],
];

/** What has no `/api/v1` before it. */
const ROOT: Row[] = [
  ['GET /health', anyone(200)],
  ['GET /readiness', anyone(200)],
  ['GET /metrics', anyone(200)],
  ['GET /docs', anyone(200)],
  ['GET /docs/asyncapi.json', anyone(200)],
  ['GET /docs/html', anyone(200)],
  ['GET /docs/html/:version/:file', anyone(200), { version: pageVersion, file: () => 'start.js' }],
  ['GET /client.js', anyone(200)],
  ['GET /dev/mail', anyone(200)],
  ['GET /console', anyone(200)],
  ['GET /console/*', anyone(200)],
  // Without the header that only the page itself sends.
  ['POST /console/session', anyone(403), { body: { refreshToken: 'none' } }],
  ['POST /console/session/refresh', anyone(403)],
  ['DELETE /console/session', anyone(403)],
  ['GET /dev/mail/:name', anyone(200), { name: mail }],
];

const ROWS = [...API.map(([route, ...rest]): Row => [route.replace(' ', ' /api/v1'), ...rest]), ...ROOT];

const allBut = (scope: Scope | undefined) => SCOPES.filter((one) => one !== scope);

/** Every route as Fastify is told of it. HEAD comes with each GET by itself, OPTIONS is CORS. */
const routes = new Set<string>();
@Module({})
class RouteRecorder {
  constructor({ httpAdapter }: HttpAdapterHost) {
    httpAdapter.getInstance<FastifyInstance>().addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) if (one !== 'HEAD' && one !== 'OPTIONS') routes.add(`${one} ${url}`);
    });
  }
}

describe('access: every endpoint answers every kind of caller', () => {
  beforeAll(async () => {
    receiver = await Receiver.start();
    server = await TestServer.start({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', HERALD_EXTENSIONS: 'herald/user-notes' }, [
      RouteRecorder,
    ]);
    people.admin = { ...(await server.api.login(ADMIN)), ...ADMIN, id: '' };
    for (const column of ['user', 'other', 'banned', 'loggedOut'] as const) {
      people[column] = await server.api.register();
      await turnInto(column, people[column]);
    }
    for (const scopes of [SCOPES, ...SCOPES.flatMap((scope) => [[scope], allBut(scope)])]) {
      keys.set(scopes.join(), (await call('POST /api-keys', newKey(scopes))).rawKey as string);
    }
  });
  afterAll(async () => {
    await server.close();
    await receiver.close();
  });

  it('the table has every route, and nothing but routes', () => {
    const rows = new Set(ROWS.map(([route]) => route));
    const withoutRow = [...routes].filter((route) => !rows.has(route));
    const withoutRoute = [...rows].filter((row) => !routes.has(row));
    expect({ withoutRow, withoutRoute }).toEqual({ withoutRow: [], withoutRoute: [] });
  });

  it.each(ROWS)('%s', async (route, { scope, ...expected }, needs = {}) => {
    const answered: Partial<Record<Column, number>> = {};
    for (const column of COLUMNS) answered[column] = await statusFor(column, route, scope, needs);
    expect(answered).toEqual(expected);
  });
});

async function statusFor(column: Column, route: string, scope: Scope | undefined, needs: Needs): Promise<number> {
  const account = needs.fresh ? await server.api.register() : people.user;
  const body = typeof needs.body === 'function' ? await needs.body(account) : needs.body;
  if (needs.fresh) await turnInto(column, account);
  let [method = '', path = ''] = route.split(' ');
  for (const name of PLACES) {
    if (needs[name]) path = path.replace(`:${name}`, await needs[name]());
  }
  const type = body !== undefined && { 'Content-Type': 'application/json' };
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { ...credentials(column, scope, needs.fresh && account), ...type },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const { status, headers } = response;
  // What went well is not read: the event stream has no end.
  if (status < 400) await response.body?.cancel();
  else {
    const { error, requestId } = (await response.json()) as { error: { code: ErrorCode }; requestId: string };
    expect(error, column).toMatchObject({ code: expect.any(String), message: expect.any(String) });
    expect([HTTP_STATUS[error.code], requestId], column).toEqual([status, headers.get('x-request-id')]);
  }
  return status;
}

function credentials(column: Column, scope: Scope | undefined, fresh: TestUser | undefined): Record<string, string> {
  if (column === 'none') return {};
  if (column === 'key') return { 'X-API-Key': keys.get(scope ?? SCOPES.join()) ?? '' };
  if (column === 'keyWithout') return { 'X-API-Key': keys.get(allBut(scope).join()) ?? '' };
  return { Authorization: `Bearer ${(fresh ?? people[column]).accessToken}` };
}

/** Does to an account what its column says; whatever a request needs of it was made before. */
async function turnInto(column: Column, { id, ...tokens }: TestUser): Promise<void> {
  if (column === 'admin') await call(`PATCH /admin/users/${id}/role`, { role: 'admin' });
  if (column === 'banned') await call(`POST /admin/users/${id}/ban`, { reason: 'spam' });
  if (column === 'loggedOut') await call('POST /auth/logout', refreshToken(tokens), tokens.accessToken);
}
