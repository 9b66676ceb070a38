import { randomUUID } from 'node:crypto';
import { generateSync } from 'otplib';
import { vi } from 'vitest';
import { LocalMailbox } from '../../src/mail/local-mailbox.service.js';
import { mailedToken, turnOnMfa } from './accounts.js';
import type { TestUser } from './api.js';
import { deadJob } from './jobs.js';
import type { Receiver } from './receiver.js';
import { ADMIN, type TestServer } from './server.js';

/** What a request needs that no example can name: who asks, and the ids, tokens and codes of things that there are. */
export interface RealThings {
  token?: string;
  path?: Record<string, string>;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Record<string, unknown>;
}

type Preparation = (world: DocumentedWorld) => RealThings | Promise<RealThings>;

/** Makes the real things that the examples of the documents stand for. */
export class DocumentedWorld {
  adminToken = '';

  constructor(
    readonly server: TestServer,
    private readonly receiver: Receiver,
  ) {}

  async prepare(): Promise<void> {
    this.adminToken = (await this.server.api.login(ADMIN)).accessToken;
  }

  account(): Promise<TestUser> {
    return this.server.api.register();
  }

  async data(method: string, path: string, body?: object, token = this.adminToken): Promise<Record<string, unknown>> {
    const answer = await this.server.api.call(method, path, { token, ...(body && { body }) });
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}`);
    return answer.body.data as Record<string, unknown>;
  }

  async endpoint(): Promise<string> {
    const body = { url: this.receiver.url, events: ['account.locked'] };
    return (await this.data('POST', '/webhooks', body))['id'] as string;
  }

  get receiverUrl(): string {
    return this.receiver.url;
  }

  /** A delivery that is over, to an endpoint. */
  async delivery(): Promise<{ id: string; endpointId: string }> {
    const endpointId = await this.endpoint();
    const { id } = await this.data('POST', `/webhooks/${endpointId}/test`);
    await vi.waitFor(async () => {
      const { items } = await this.data('GET', `/webhooks/${endpointId}/deliveries?status=delivered`);
      if ((items as unknown[]).length === 0) throw new Error('it was not delivered yet');
    });
    return { id: id as string, endpointId };
  }

  /** The oldest event that an account may see. */
  async eventOf({ accessToken }: TestUser): Promise<string> {
    const { items } = await this.data('GET', '/events?limit=1', undefined, accessToken);
    return (items as { id: string }[])[0]?.id ?? '';
  }

  async sessionOf({ accessToken }: TestUser): Promise<string> {
    const { sessions } = await this.data('GET', '/users/me/sessions', undefined, accessToken);
    return (sessions as { id: string }[])[0]?.id ?? '';
  }

  async connection(): Promise<string> {
    await this.server.subscriber((await this.account()).accessToken);
    const { connections } = await this.data('GET', '/realtime/connections');
    return (connections as { id: string }[])[0]?.id ?? '';
  }

  async pageVersion(): Promise<string> {
    const page = await (await fetch(`${this.server.url}/docs/html`)).text();
    return /\/docs\/html\/(\w+)\//.exec(page)?.[1] ?? '';
  }
}

const asUser: Preparation = async (world) => ({ token: (await world.account()).accessToken });
const asAdmin: Preparation = ({ adminToken }) => ({ token: adminToken });
const asNobody: Preparation = () => ({});
const onAccount: Preparation = async (world) => ({
  token: world.adminToken,
  path: { id: (await world.account()).id },
});
const onEndpoint: Preparation = async (world) => ({ token: world.adminToken, path: { id: await world.endpoint() } });
const onDeadJob: Preparation = async ({ adminToken, server }) => ({
  token: adminToken,
  path: { id: await deadJob(server) },
});
const onNote: Preparation = async (world) => {
  const { accessToken: token } = await world.account();
  return { token, path: { id: (await world.data('POST', '/notes', { text: 'A note' }, token))['id'] as string } };
};
const onConsoleSession: Preparation = async ({ server }) => ({
  headers: { Origin: server.url, Cookie: `herald_console=${(await server.api.login(ADMIN)).refreshToken}` },
});
const newEmail = () => ({ email: `${randomUUID()}@example.com` });

/** For each operation of the document, what its example needs to work. */
export const PREPARATIONS: Record<string, Preparation> = {
  'Auth.register': asNobody,
  'Auth.login': async (world) => ({ body: { email: (await world.account()).email } }),
  'Auth.verifyMfa': async (world) => {
    const account = await world.account();
    const { code } = await turnOnMfa(world.server, account);
    const { mfaToken } = await world.data('POST', '/auth/login', { email: account.email, password: account.password });
    return { body: { mfaToken, code } };
  },
  'Auth.refresh': async (world) => ({ body: { refreshToken: (await world.account()).refreshToken } }),
  'Auth.logout': async (world) => {
    const { accessToken, refreshToken } = await world.account();
    return { token: accessToken, body: { refreshToken } };
  },
  'Auth.verifyEmail': async (world) => ({
    body: { token: await mailedToken(world.server, 'verify-email', (await world.account()).email) },
  }),
  'Auth.resendVerification': asUser,
  'Auth.forgotPassword': asNobody,
  'Auth.resetPassword': async (world) => {
    // The example's password is that of every account here, and must be another one than before.
    const account = await world.server.api.register('Another-horse-2');
    await world.data('POST', '/auth/forgot-password', { email: account.email });
    return { body: { token: await mailedToken(world.server, 'reset-password', account.email) } };
  },
  'Mfa.setUp': asUser,
  'Mfa.enable': async (world) => {
    const { accessToken } = await world.account();
    const { secret } = await world.data('POST', '/auth/mfa/setup', undefined, accessToken);
    return { token: accessToken, body: { secret, code: generateSync({ secret: secret as string }) } };
  },
  'Mfa.disable': async (world) => {
    const account = await world.account();
    const { recoveryCodes } = await turnOnMfa(world.server, account);
    return { token: account.accessToken, body: { code: recoveryCodes[0] } };
  },
  'Me.read': asUser,
  'Me.change': asUser,
  'Me.delete': asUser,
  'MySessions.list': asUser,
  'MySessions.endOthers': asUser,
  'MySessions.end': async (world) => {
    const account = await world.account();
    return { token: account.accessToken, path: { id: await world.sessionOf(account) } };
  },
  'ApiKeys.create': asUser,
  'ApiKeys.list': async (world) => {
    const { accessToken: token } = await world.account();
    await world.data('POST', '/api-keys', { name: 'A program', scopes: ['events:read'] }, token);
    return { token };
  },
  'ApiKeys.revoke': async (world) => {
    const { accessToken: token } = await world.account();
    const { key } = await world.data('POST', '/api-keys', { name: 'A program', scopes: ['events:read'] }, token);
    return { token, path: { id: (key as { id: string }).id } };
  },
  'AdminUsers.list': async (world) => {
    const { email } = await world.account();
    return { token: world.adminToken, query: { search: email } };
  },
  'AdminUsers.create': ({ adminToken }) => ({ token: adminToken, body: newEmail() }),
  'AdminUsers.one': onAccount,
  'AdminUsers.setRole': onAccount,
  'AdminUsers.ban': onAccount,
  'AdminUsers.unban': onAccount,
  'AdminUsers.unlock': onAccount,
  'AdminUsers.delete': onAccount,
  'AdminSessions.list': async (world) => ({
    token: world.adminToken,
    path: { userId: (await world.account()).id },
  }),
  'AdminSessions.endAll': async (world) => ({
    token: world.adminToken,
    path: { userId: (await world.account()).id },
  }),
  'AdminSessions.end': async (world) => {
    const account = await world.account();
    return { token: world.adminToken, path: { userId: account.id, id: await world.sessionOf(account) } };
  },
  'Audit.list': async (world) => {
    const { email } = await world.account();
    await world.server.api.post('/auth/login', { email, password: 'wrong' });
    return { token: world.adminToken, query: { subject: email } };
  },
  'Audit.verify': asAdmin,
  'Overview.look': async (world) => {
    await deadJob(world.server);
    await world.data('PATCH', `/webhooks/${await world.endpoint()}`, { enabled: false });
    const { email } = newEmail();
    for (let n = 0; n < 5; n += 1) await world.server.api.post('/auth/login', { email, password: 'wrong' });
    return { token: world.adminToken };
  },
  'Console.page': asNobody,
  'Console.page2': asNobody,
  'ConsoleSession.start': async ({ server }) => ({
    headers: { Origin: server.url },
    body: { refreshToken: (await server.api.login(ADMIN)).refreshToken },
  }),
  'ConsoleSession.refresh': onConsoleSession,
  'ConsoleSession.end': onConsoleSession,
  'Events.list': async (world) => {
    const account = await world.account();
    const after = await world.eventOf(account);
    for (let n = 0; n < 2; n += 1) await world.server.api.login(account);
    const newest = await world.server.api.get('/events?order=desc&limit=1', account.accessToken);
    return { token: account.accessToken, query: { after, before: newest.body.data.items[0].id as string } };
  },
  'Events.types': asUser,
  'Events.one': async (world) => {
    const account = await world.account();
    return { token: account.accessToken, path: { id: await world.eventOf(account) } };
  },
  'Events.trace': async (world) => {
    const id = await world.eventOf(await world.account());
    return { token: world.adminToken, path: { id } };
  },
  'Sse.stream': async (world) => {
    const account = await world.account();
    const id = await world.eventOf(account);
    return { token: account.accessToken, query: { lastEventId: id }, headers: { 'Last-Event-ID': id } };
  },
  'StreamTickets.issue': asUser,
  'Webhooks.create': ({ adminToken, receiverUrl }) => ({ token: adminToken, body: { url: receiverUrl } }),
  'Webhooks.list': async (world) => {
    await world.endpoint();
    return { token: world.adminToken };
  },
  'Webhooks.one': onEndpoint,
  'Webhooks.change': async (world) => ({
    token: world.adminToken,
    path: { id: await world.endpoint() },
    body: { url: world.receiverUrl },
  }),
  'Webhooks.delete': onEndpoint,
  'Webhooks.oneDelivery': async (world) => ({
    token: world.adminToken,
    path: { id: (await world.delivery()).id },
  }),
  'Webhooks.test': onEndpoint,
  'Webhooks.rotateSecret': onEndpoint,
  'Webhooks.listDeliveries': async (world) => ({
    token: world.adminToken,
    path: { id: (await world.delivery()).endpointId },
    query: { status: 'delivered' },
  }),
  'Webhooks.redeliver': async (world) => ({ token: world.adminToken, path: { id: (await world.delivery()).id } }),
  'Webhooks.replay': async (world) => ({
    token: world.adminToken,
    path: { id: await world.endpoint() },
    body: { after: await world.eventOf(await world.account()) },
  }),
  'Connections.list': async (world) => {
    await world.connection();
    return { token: world.adminToken };
  },
  'Connections.close': async (world) => ({ token: world.adminToken, path: { id: await world.connection() } }),
  'Jobs.types': asAdmin,
  'Jobs.stats': asAdmin,
  'Jobs.list': async (world) => {
    await deadJob(world.server);
    return { token: world.adminToken };
  },
  'Jobs.one': onDeadJob,
  'Jobs.redrive': asAdmin,
  'Jobs.retry': onDeadJob,
  'Jobs.discard': onDeadJob,
  'Health.health': asNobody,
  'Health.readiness': asNobody,
  'Metrics.read': asNobody,
  'ClientScript.read': asNobody,
  'Docs.openApi': asNobody,
  'Docs.asyncApi': asNobody,
  'Docs.html': asNobody,
  'Docs.asset': async (world) => ({ path: { version: await world.pageVersion() } }),
  'Mailbox.list': asNobody,
  'Mailbox.one': async (world) => {
    await mailedToken(world.server, 'verify-email', (await world.account()).email);
    const [mail] = await world.server.app.get(LocalMailbox).list();
    return { path: { name: mail?.name ?? '' } };
  },
  'Notes.list': async (world) => ({ token: (await onNote(world)).token as string }),
  'Notes.create': asUser,
  'Notes.one': onNote,
  'Notes.change': onNote,
  'Notes.delete': onNote,
};
