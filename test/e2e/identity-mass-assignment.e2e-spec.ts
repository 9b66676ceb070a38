import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mailedToken, turnOnMfa } from '../support/accounts.js';
import type { TestUser } from '../support/api.js';
import { ADMIN, TestServer } from '../support/server.js';

const ALL_SCOPES = ['events:read', 'users:read', 'users:manage', 'webhooks:manage', 'jobs:manage'];
const HOOK = { url: 'https://example.com/hook', events: ['mfa.disabled'] };

let server: TestServer;
let admin: string;
async function start(): Promise<void> {
  server = await TestServer.start();
  admin = (await server.api.login(ADMIN)).accessToken;
}
const login = (email: string, password: string) => server.api.post('/auth/login', { email, password });

describe('a field that nobody may set', () => {
  const EXTRAS: Record<string, unknown> = {
    role: 'admin',
    id: randomUUID(),
    userId: randomUUID(),
    emailVerified: true,
    bannedAt: null,
    mfaEnabled: false,
    passwordHash: 'x',
    scopes: ALL_SCOPES,
    createdAt: 0,
    lockedUntil: null,
    isAdmin: true,
    toString: 'x',
    hasOwnProperty: true,
    '': 'x',
  };
  let user: TestUser;
  let guarded: TestUser;
  /** Everything that takes a body, with one that would work: method, path, body, who asks. */
  let requests: [method: string, path: string, body: Record<string, unknown>, token?: string][];
  let tokens: { verification: string; reset: string };

  beforeAll(async () => {
    await start();
    const { api } = server;
    [user, guarded] = [await api.register(), await api.register()];
    const { accessToken, refreshToken, email, password } = user;
    const victim = await api.register();
    await api.post('/auth/forgot-password', { email });
    tokens = {
      verification: await mailedToken(server, 'verify-email', email),
      reset: await mailedToken(server, 'reset-password', email),
    };
    const hook = (await api.post('/webhooks', HOOK, admin)).body.data as { id: string };
    const { code } = await turnOnMfa(server, guarded);
    const { mfaToken } = (await login(guarded.email, guarded.password)).body.data;
    const { secret } = (await api.post('/auth/mfa/setup', undefined, accessToken)).body.data;
    const next = { email: 'mass@example.com', password: 'Correct-horse-2' };
    requests = [
      ['POST', '/auth/register', next],
      ['POST', '/auth/login', { email, password }],
      ['POST', '/auth/refresh', { refreshToken }],
      ['POST', '/auth/logout', { refreshToken }, accessToken],
      ['POST', '/auth/verify-email', { token: tokens.verification }],
      ['POST', '/auth/forgot-password', { email }],
      ['POST', '/auth/reset-password', { token: tokens.reset, password: next.password }],
      ['POST', '/auth/mfa/verify', { mfaToken, code }],
      ['POST', '/auth/mfa/enable', { secret, code }, accessToken],
      ['POST', '/auth/mfa/disable', { code }, guarded.accessToken],
      ['PATCH', '/users/me', { email: next.email }, accessToken],
      ['PATCH', '/users/me', { password: next.password, currentPassword: password }, accessToken],
      ['POST', '/api-keys', { name: 'x', scopes: ['events:read'] }, accessToken],
      ['POST', '/admin/users', { ...next, role: 'user' }, admin],
      ['PATCH', `/admin/users/${victim.id}/role`, { role: 'user' }, admin],
      ['POST', `/admin/users/${victim.id}/ban`, { reason: 'x' }, admin],
      ['POST', '/webhooks', HOOK, admin],
      ['PATCH', `/webhooks/${hook.id}`, { description: 'x' }, admin],
      ['POST', `/webhooks/${hook.id}/rotate-secret`, { overlapHours: 0 }, admin],
      ['POST', `/webhooks/${hook.id}/replay`, {}, admin],
      ['POST', '/jobs/redrive', { type: 'mail.send' }, admin],
    ];
  });
  afterAll(() => server.close());

  /** All that the requests above could have changed. */
  async function state(): Promise<unknown[]> {
    const paths: [string, string][] = [
      ['/admin/users?limit=200', admin],
      ['/webhooks', admin],
      ['/events?limit=200', admin],
      ['/api-keys', user.accessToken],
      ['/users/me/sessions', user.accessToken],
      ['/users/me/sessions', guarded.accessToken],
    ];
    const answers = [];
    for (const [path, token] of paths) answers.push((await server.api.get(path, token)).body.data as unknown);
    return answers;
  }

  it('is refused in every body by its name, and the rest of the body is not acted on', async () => {
    const before = await state();
    for (const [method, path, body, token] of requests) {
      for (const [field, value] of Object.entries(EXTRAS)) {
        if (Object.hasOwn(body, field)) continue;
        const options = { body: { ...body, [field]: value }, ...(token !== undefined && { token }) };
        const { status, body: answer } = await server.api.call(method, path, options);
        expect([method, path, field, status, answer.error?.code]).toEqual([method, path, field, 422, 'VALIDATION']);
      }
    }
    expect(await state()).toEqual(before);
    // The tokens in those bodies are as good as new.
    const { api } = server;
    expect((await api.post('/auth/verify-email', { token: tokens.verification })).status).toBe(200);
    const refreshed = await api.post('/auth/refresh', { refreshToken: user.refreshToken });
    expect(refreshed.status).toBe(200);
    const reset = { token: tokens.reset, password: 'Correct-horse-2' };
    expect((await api.post('/auth/reset-password', reset)).status).toBe(200);
  });

  it('stays unset where a prototype would set it: such names are dropped, as if nobody had sent them', async () => {
    const { api } = server;
    const hidden = '{"role":"admin","emailVerified":true,"email":"proto@example.com","scopes":["users:manage"]}';
    for (const name of ['__proto__', 'constructor', 'prototype']) {
      const extra = `"${name}":${name === 'constructor' ? `{"prototype":${hidden}}` : hidden}`;
      const email = `${randomUUID()}@example.com`;
      const own = `"email":"${email}","password":"Zebra-run1"`;
      const registered = await api.post('/auth/register', `{${extra},${own}}`);
      const { accessToken } = registered.body.data as { accessToken: string };
      const me = async () => (await api.get('/users/me', accessToken)).body.data as unknown;
      const before = await me();
      expect(before).toMatchObject({ email, role: 'user', emailVerified: false, mfaEnabled: false });
      // Without them nothing is left of these bodies.
      expect((await api.patch('/users/me', `{${extra}}`, accessToken)).status).toBe(422);
      const key = await api.post('/api-keys', `{${extra},"name":"x"}`, accessToken);
      expect([key.status, key.body.error.details[0].field]).toEqual([422, 'scopes']);
      expect(await me()).toEqual(before);
      expect((await api.get('/admin/users', accessToken)).status).toBe(403);
    }
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect('role' in {}).toBe(false);
  });

  it('stays unset where no body is taken at all', async () => {
    const { api } = server;
    const { id, accessToken } = await api.register();
    const me = async () => (await api.get('/users/me', accessToken)).body.data as unknown;
    const before = await me();
    const acts = [`/admin/users/${id}/unban`, `/admin/users/${id}/unlock`];
    for (const path of acts) expect((await api.post(path, EXTRAS, admin)).status).toBe(200);
    for (const path of ['/auth/resend-verification', '/auth/mfa/setup']) {
      expect((await api.post(path, EXTRAS, accessToken)).status).toBe(200);
    }
    expect(await me()).toEqual(before);
  });
});
