import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACT_TYPES } from '../../src/events/audited-acts.js';
import { AuditTrail } from '../../src/events/audit-trail.service.js';
import { EventBus } from '../../src/events/event-bus.js';
import { turnOnMfa } from '../support/accounts.js';
import type { Answer, TestUser } from '../support/api.js';
import { deadJob } from '../support/jobs.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

interface Row {
  id: string;
  type: string;
  timestamp: string;
  [field: string]: unknown;
}

describe('the audit trail', () => {
  let server: TestServer;
  let admin: string;
  let adminId: string;
  let receiver: Receiver;
  beforeAll(async () => {
    server = await TestServer.start({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' });
    admin = (await server.api.login(ADMIN)).accessToken;
    adminId = (await server.api.get('/users/me', admin)).body.data.id as string;
    receiver = await Receiver.start();
  });
  afterAll(async () => {
    await server.close();
    await receiver.close();
  });

  const audit = async (query = ''): Promise<Row[]> => {
    const { status, body } = await server.api.get(`/audit?${query}`, admin);
    expect(status, JSON.stringify(body)).toBe(200);
    return body.data.items as Row[];
  };
  const latest = async (type: string) => (await audit(`type=${type}&limit=1`))[0];
  const call = async (method: string, path: string, body?: object, token = admin): Promise<Answer['body']> => {
    const answer = await server.api.call(method, path, { token, ...(body && { body }) });
    expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
    return answer.body?.data;
  };

  it('keeps what admins do to webhooks, and no address of theirs but the host', async () => {
    const url = `${receiver.url}?key=in-the-address`;
    const { id, secret } = await call('POST', '/webhooks', { url, events: ['logout'] });
    await call('PATCH', `/webhooks/${id}`, { description: 'x' });
    await call('POST', `/webhooks/${id}/rotate-secret`);
    const { id: deliveryId } = await call('POST', `/webhooks/${id}/test`);
    await call('POST', `/webhooks/${id}/replay`, {});
    await receiver.next(({ headers }) => headers['x-webhook-delivery'] === deliveryId);
    await call('PATCH', `/webhooks/${id}`, { enabled: false });
    await call('PATCH', `/webhooks/${id}`, { enabled: true });
    await call('POST', `/webhooks/deliveries/${deliveryId}/redeliver`);
    await call('DELETE', `/webhooks/${id}`);
    const rows = await audit(`subject=${id}`);
    expect(rows.map(({ type }) => type).toReversed()).toEqual([
      'webhook.created',
      'webhook.changed',
      'webhook.secret_rotated',
      'webhook.tested',
      'webhook.replayed',
      'webhook.changed',
      'webhook.disabled',
      'webhook.changed',
      'webhook.redelivered',
      'webhook.deleted',
    ]);
    for (const row of rows) {
      expect(row).toMatchObject({
        id: expect.stringMatching(/^act-[\da-f]{8}-/),
        actorId: adminId,
        outcome: 'success',
        ip: '127.0.0.1',
        requestId: expect.any(String),
        sessionId: expect.any(String),
      });
    }
    expect(rows.at(-1)?.['details']).toEqual({ host: new URL(url).host, events: ['logout'] });
    expect(JSON.stringify(rows)).not.toContain('in-the-address');
    expect(JSON.stringify(rows)).not.toContain(String(secret).slice(8));
  });

  it('keeps an endpoint that disabled itself, without an actor', async () => {
    const gone = await Receiver.start(() => 410);
    const { id } = await call('POST', '/webhooks', { url: gone.url, events: ['api_key.created'] });
    const { key } = await call('POST', '/api-keys', { name: 'x', scopes: ['events:read'] });
    await gone.next();
    await expect.poll(() => latest('webhook.disabled')).toMatchObject({ subject: id, actorId: null, requestId: null });
    await call('DELETE', `/api-keys/${key.id}`);
    await gone.close();
  });

  it('keeps what admins do to jobs', async () => {
    const dead = () => deadJob(server);
    const retried = await dead();
    await call('POST', `/jobs/${retried}/retry`);
    expect(await latest('job.retried')).toMatchObject({ subject: retried, details: { type: 'auth.forgot-password' } });
    await dead();
    await call('POST', '/jobs/redrive', { type: 'auth.forgot-password' });
    expect(await latest('job.redriven')).toMatchObject({ subject: 'auth.forgot-password', details: { redriven: 1 } });
    const discarded = await dead();
    await call('DELETE', `/jobs/${discarded}`);
    expect(await latest('job.discarded')).toMatchObject({ subject: discarded, details: { state: 'dead' } });
    // What was refused is no act.
    expect((await server.api.post(`/jobs/${discarded}/retry`, undefined, admin)).status).toBe(404);
    expect(await audit(`subject=${discarded}`)).toHaveLength(1);
  });

  it('keeps what touches the security of an account without changing it', async () => {
    const user = await server.api.register();
    const other = await server.api.login(user);
    const path = `/admin/users/${user.id}/sessions`;
    const { sessions } = await call('GET', path);
    expect(sessions).toHaveLength(2);
    const socket = await server.subscriber(other.accessToken);
    const { sessions: mine } = await call('GET', '/users/me/sessions', undefined, other.accessToken);
    const { id: sessionId } = mine.find(({ current }: { current: boolean }) => current);
    await call('DELETE', `${path}/${sessionId}`);
    expect((await socket.closed).code).toBe(4403);
    expect((await server.api.get('/users/me', other.accessToken)).status).toBe(401);
    expect(await latest('session.ended')).toMatchObject({ subject: user.id, actorId: adminId, details: { sessionId } });
    expect((await server.api.delete(`${path}/${sessionId}`, admin)).status).toBe(404);

    const next = (await server.api.post('/auth/refresh', { refreshToken: user.refreshToken })).body.data;
    await server.api.post('/auth/refresh', { refreshToken: next.refreshToken });
    await server.api.post('/auth/refresh', { refreshToken: user.refreshToken });
    expect(await latest('session.reused')).toMatchObject({ subject: user.id, actorId: null, outcome: 'failure' });

    await server.api.login(user);
    await call('DELETE', path);
    expect((await call('GET', path)).sessions).toEqual([]);

    await server.api.post('/auth/forgot-password', { email: user.email });
    expect(await latest('password.reset_requested')).toMatchObject({ subject: user.email, actorId: null });
    const again = await server.api.login(user);
    await call('POST', '/auth/resend-verification', undefined, again.accessToken);
    expect(await latest('email.verification_requested')).toMatchObject({ subject: user.id, actorId: user.id });
    await call('POST', '/auth/mfa/setup', undefined, again.accessToken);
    expect(await latest('mfa.setup_started')).toMatchObject({ subject: user.id, actorId: user.id });
    const wrong = { password: 'Another-horse-2', currentPassword: 'wrong' };
    expect((await server.api.patch('/users/me', wrong, again.accessToken)).status).toBe(401);
    expect(await latest('reauthentication.failed')).toMatchObject({ actorId: user.id, outcome: 'failure' });
  });

  it('says by which factor a login was completed, and why one failed', async () => {
    const user = await server.api.register();
    const { code, recoveryCodes } = await turnOnMfa(server, user);
    const attempt = async (shown: string) => {
      const { body } = await server.api.post('/auth/login', { email: user.email, password: user.password });
      await server.api.post('/auth/mfa/verify', { mfaToken: body.data.mfaToken, code: shown });
    };
    await attempt(code);
    expect(await latest('login.success')).toMatchObject({ details: { factor: 'totp' } });
    await attempt(code);
    expect(await latest('login.failed')).toMatchObject({ details: { reason: 'wrong code' } });
    await attempt(String(recoveryCodes[0]));
    expect(await latest('login.success')).toMatchObject({ details: { factor: 'recovery code' } });
    await call('POST', `/admin/users/${user.id}/ban`, { reason: 'spam' });
    expect(await latest('user.updated')).toMatchObject({ details: { banned: true, reason: 'spam' } });
    await server.api.post('/auth/login', { email: user.email, password: user.password });
    expect(await latest('login.failed')).toMatchObject({ details: { reason: 'banned' } });
  });

  it('is asked by actor, subject, type and time, in pages, the newest first', async () => {
    const user = await server.api.register();
    for (let n = 0; n < 3; n += 1) {
      await call('POST', '/api-keys', { name: 'x', scopes: ['events:read'] }, user.accessToken);
    }
    const byActor = await audit(`actor=${user.id}`);
    expect(byActor.map(({ type }) => type)).toEqual([...Array(3).fill('api_key.created'), 'user.registered']);
    expect(await audit(`actor=${user.id}&type=api_key.*`)).toHaveLength(3);
    expect(await audit(`subject=${user.id}&type=user.registered,session.*`)).toHaveLength(1);
    const middle = byActor[1] as Row;
    const ms = Date.parse(middle.timestamp);
    expect((await audit(`actor=${user.id}&from=${ms}`)).map(({ id }) => id)).toContain(middle.id);
    expect((await audit(`actor=${user.id}&to=${middle.timestamp}`)).map(({ id }) => id)).not.toContain(middle.id);
    const first = (await server.api.get(`/audit?actor=${user.id}&limit=2`, admin)).body.data;
    expect(first).toMatchObject({ hasMore: true, nextCursor: middle.id });
    const rest = (await server.api.get(`/audit?actor=${user.id}&after=${first.nextCursor}`, admin)).body.data;
    expect([...first.items, ...rest.items]).toEqual(byActor);
    expect(rest.nextCursor).toBeNull();
  });

  it.each(['type=nothing', 'from=yesterday', 'to=2026-01-01', 'after=evt-nothing', 'limit=0', 'actr=x'])(
    'refuses %s and says why',
    async (query) => {
      const { status, body } = await server.api.get(`/audit?${query}`, admin);
      expect([status, body.error.code]).toEqual([422, 'VALIDATION']);
      expect(body.error.details).toHaveLength(1);
    },
  );

  it('is no event: readers of events are told of no act', async () => {
    const socket = await server.subscriber(admin);
    const before = (await server.api.get('/events?limit=200', admin)).body.data.items.length as number;
    await server.app.get(AuditTrail).record('job.retried', { subject: 'x' });
    const { id } = await server.app.get(EventBus).publish('login.failed', { email: 'last@example.com' });
    await socket.next(({ event }) => (event as { id?: string } | undefined)?.id === id);
    expect(socket.events).toEqual(['login.failed']);
    const act = await latest('job.retried');
    const { body } = await server.api.get('/events?limit=200', admin);
    expect(body.data.items).toHaveLength(before + 1);
    expect((await server.api.get(`/events/${act?.id}`, admin)).status).toBe(404);
    expect((await server.api.get(`/events/${act?.id}/trace`, admin)).status).toBe(404);
    expect((await server.api.get(`/events?after=${act?.id}`, admin)).status).toBe(422);
    expect(ACT_TYPES).toContain('job.retried');
  });

  it('locks what asks for the password again after too many wrong answers: a stolen session cannot guess', async () => {
    const user = await server.api.register();
    const guess = () =>
      server.api.patch('/users/me', { password: 'Another-horse-2', currentPassword: 'x' }, user.accessToken);
    const many = await Promise.all(Array.from({ length: 8 }, guess));
    expect(many.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      ...Array(4).fill(401),
      ...Array(4).fill(403),
    ]);
    const right = { password: 'Another-horse-2', currentPassword: user.password };
    const locked = await server.api.patch('/users/me', right, user.accessToken);
    expect([locked.status, locked.body.error.details[0].code]).toEqual([403, 'ACCOUNT_LOCKED']);
    // Another address begins no new count, and logins are not locked by it.
    await server.api.patch('/users/me', { email: `new-${user.email}` }, user.accessToken);
    expect((await guess()).status).toBe(403);
    const login = { email: `new-${user.email}`, password: user.password };
    expect((await server.api.post('/auth/login', login)).status).toBe(200);
    await call('POST', `/admin/users/${user.id}/unlock`);
    expect((await server.api.patch('/users/me', right, user.accessToken)).status).toBe(200);

    // Strangers who fail to log in do not keep an owner who is in from changing the password; success ends the count.
    const owner = await server.api.register();
    for (let n = 0; n < 5; n += 1) await server.api.post('/auth/login', { email: owner.email, password: 'x' });
    let currentPassword = owner.password;
    for (let n = 0; n < 3; n += 1) {
      for (let wrong = 0; wrong < 3; wrong += 1) {
        const body = { password: 'Another-horse-9', currentPassword: 'x' };
        expect((await server.api.patch('/users/me', body, owner.accessToken)).status).toBe(401);
      }
      const body = { password: `Another-horse-${n}`, currentPassword };
      expect((await server.api.patch('/users/me', body, owner.accessToken)).status).toBe(200);
      currentPassword = body.password;
    }

    const guarded = await server.api.register();
    const { code } = await turnOnMfa(server, guarded);
    const disable = (shown: string) => server.api.post('/auth/mfa/disable', { code: shown }, guarded.accessToken);
    const wrong = code === '000000' ? '000001' : '000000';
    for (const status of [401, 401, 401, 401, 403, 403]) expect((await disable(wrong)).status).toBe(status);
    expect((await disable(code)).status).toBe(403);
  });
});

describe('one event’s trace', () => {
  let server: TestServer;
  let admin: string;
  let user: TestUser;
  let receiver: Receiver;
  beforeAll(async () => {
    server = await TestServer.start({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', WEBHOOK_RETRY_SCHEDULE: '0s,10ms' });
    admin = (await server.api.login(ADMIN)).accessToken;
    receiver = await Receiver.start(({ before }) => (before === 0 ? 500 : 204));
    await server.api.post('/webhooks', { url: receiver.url, events: ['user.registered'] }, admin);
    user = await server.api.register();
  });
  afterAll(async () => {
    await server.close();
    await receiver.close();
  });
  const eventOf = async (type: string) =>
    (await server.api.get(`/events?type=${type}`, user.accessToken)).body.data.items[0].id as string;

  it('tells of request, commit, readers, jobs, deliveries with their attempts, and mails', async () => {
    const id = await eventOf('user.registered');
    const trace = async () => (await server.api.get(`/events/${id}/trace`, admin)).body.data;
    await expect.poll(async () => (await trace()).deliveries[0]?.status).toBe('delivered');
    await expect.poll(async () => (await trace()).mails[0]?.status).toBe('completed');
    const found = await trace();
    expect(found.event).toMatchObject({ id, type: 'user.registered' });
    expect(found.request).toMatchObject({ actorId: user.id, ip: '127.0.0.1', requestId: expect.any(String) });
    expect(found.commit).toMatchObject({ outcome: 'success', hash: expect.any(String) });
    const readers = ['live', 'webhooks', 'email-verification'].map((name) => ({ name, status: 'done' }));
    expect(found.readers.toSorted((a: Row, b: Row) => (String(a['name']) < String(b['name']) ? -1 : 1))).toEqual(
      readers.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    );
    expect(found.jobs.map(({ type }: Row) => type).toSorted()).toEqual([
      'mail.send',
      'reader.email-verification',
      'webhook.attempt',
      'webhook.attempt',
    ]);
    expect(found.deliveries).toMatchObject([{ attempts: [{ status: 500 }, { status: 204 }] }]);
    expect(found.mails).toMatchObject([{ to: user.email, template: 'verify-email', attempts: 1 }]);
    expect(JSON.stringify(found)).not.toContain('sealedToken');
  });

  it('tells the owner no more than the request, and not where an admin sat', async () => {
    const { body } = await server.api.get(`/events/${await eventOf('user.registered')}/trace`, user.accessToken);
    expect(Object.keys(body.data)).toEqual(['event', 'request', 'commit']);
    expect(body.data.request).toMatchObject({ actorId: user.id });
    await server.api.patch(`/admin/users/${user.id}/role`, { role: 'admin' }, admin);
    await server.api.patch(`/admin/users/${user.id}/role`, { role: 'user' }, admin);
    const theirs = await server.api.get(`/events/${await eventOf('user.updated')}/trace`, user.accessToken);
    expect(theirs.body.data.request).toBeNull();
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    const failed = await server.api.get(`/events/${await eventOf('login.failed')}/trace`, user.accessToken);
    expect(failed.body.data.request).toBeNull();
    const stranger = await server.api.register();
    const { status } = await server.api.get(`/events/${await eventOf('user.registered')}/trace`, stranger.accessToken);
    expect(status).toBe(404);
  });

  it('of a change of address names the mail to the old one', async () => {
    const moved = await server.api.register();
    await server.api.patch('/users/me', { email: `new-${moved.email}` }, moved.accessToken);
    const { body } = await server.api.get('/events?type=user.updated', moved.accessToken);
    const trace = async () =>
      (await server.api.get(`/events/${body.data.items[0].id}/trace`, admin)).body.data.mails as Row[];
    await expect
      .poll(async () => (await trace()).map((mail) => String(mail['to'])).toSorted())
      .toEqual([moved.email, `new-${moved.email}`].toSorted());
  });
});
