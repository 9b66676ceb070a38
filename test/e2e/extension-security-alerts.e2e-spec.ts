import { MoreThan } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ConfigError } from '../../src/config/config.js';
import { Housekeeping } from '../../src/database/housekeeping.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { FailedLogin } from '../../src/extensions/security-alerts/failed-login.entity.js';
import { RaisedAlert } from '../../src/extensions/security-alerts/raised-alert.entity.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import type { TestUser } from '../support/api.js';
import { MailServer } from '../support/mail-server.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

const HOUR_MS = 3_600_000;

describe('the extension security-alerts', () => {
  let server: TestServer;
  let mails: MailServer;
  let second: TestUser;
  let admin: string;
  /** Every failure comes from a network address of its own, unless a test says otherwise. */
  let addresses = 0;

  /** Accounts of which nobody else here knows. */
  const OWNED = ['restart', 'slow', 'stubborn', 'hooked'].map((name) => `${name}@example.com`);

  beforeAll(async () => {
    vi.stubEnv('SECURITY_ALERTS_FAILURES_PER_ADDRESS', '4');
    vi.stubEnv('SECURITY_ALERTS_FAILURES_TOTAL', '9');
    mails = await MailServer.start();
    server = await TestServer.start({
      HERALD_EXTENSIONS: 'herald/security-alerts',
      MAIL_URL: mails.url,
      TRUST_PROXY: 'loopback',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
    });
    admin = (await server.api.login(ADMIN)).accessToken;
    second = await server.api.register();
    for (const email of OWNED) await server.api.register(undefined, email);
    await server.api.patch(`/admin/users/${second.id}/role`, { role: 'admin' }, admin);
  });
  afterEach(async () => {
    await settle();
    await server.app.get(UnitOfWork).run(async (tx) => {
      await tx.clear(FailedLogin);
      await tx.clear(RaisedAlert);
    });
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server.close();
    await mails.close();
  });

  async function fail(email: string, times = 1, ip?: string): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      addresses += 1;
      const headers = { 'X-Forwarded-For': ip ?? `203.0.113.${addresses}` };
      await server.api.call('POST', '/auth/login', { body: { email, password: 'wrong' }, headers });
    }
  }

  /** Everything that has happened so far has had its consequences. */
  async function settle(): Promise<void> {
    await server.app.get(DurableReaders).caughtUp();
    await server.app.get(JobWorker).idle();
    await server.app.get(DurableReaders).caughtUp();
    await server.app.get(JobWorker).idle();
  }

  let seen = '';
  /** The alerts that were raised since the last call. */
  async function alerts(): Promise<object[]> {
    await settle();
    const { body } = await server.api.get(`/events?type=security.*&limit=200${seen}`, admin);
    const items = body.data.items as { id: string; payload: object }[];
    if (items.length > 0) seen = `&after=${items.at(-1)?.id}`;
    return items.map(({ payload }) => payload);
  }

  it('tells of a burst at one address, once, as an event for admins and by mail to each', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    await fail(user.email, 3);
    expect(await alerts()).toEqual([]);
    await fail(user.email);
    expect(await alerts()).toEqual([{ kind: 'failed_logins', email: user.email, ip: null, failures: 4 }]);
    await fail(user.email, 2);
    expect(await alerts()).toEqual([]);
    const told = mails.inbox.all.filter(({ subject }) => subject?.startsWith('Security alert'));
    expect(told.flatMap(({ envelopeTo }) => envelopeTo).toSorted()).toEqual([ADMIN.email, second.email].toSorted());
    expect(told[0]?.subject).toBe(`Security alert: 4 failed logins of ${user.email}`);
    expect(told[0]?.text).toContain('have failed within 10 minutes');
    await socket.settle();
    expect(new Set(socket.events)).toEqual(new Set(['login.failed', 'account.locked']));
  });

  it('tells of no burst at an address that nobody has: anybody could make up as many as they like', async () => {
    await fail('nobody@example.com', 6);
    expect(await alerts()).toEqual([]);
  });

  it('mails no more than twenty alerts within a cool-down, and publishes the others all the same', async () => {
    const now = Date.now();
    const raised = Array.from({ length: 20 }, (_, index) => ({ key: `earlier ${index}`, raisedAt: now }));
    await server.app.get(UnitOfWork).run((tx) => tx.insert(RaisedAlert, raised));
    const before = mails.inbox.all.length;
    await fail('x@example.com', 4, '198.51.100.9');
    expect(await alerts()).toHaveLength(1);
    expect(mails.inbox.all.slice(before).filter(({ subject }) => subject?.startsWith('Security alert'))).toEqual([]);
  });

  it('tells of a burst from one network address, whatever it tries', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await fail(`${name}-spray@example.com`, 1, '198.51.100.7');
    expect(await alerts()).toEqual([{ kind: 'failed_logins', email: null, ip: '198.51.100.7', failures: 4 }]);
  });

  it('tells of a burst that comes from everywhere and tries everybody', async () => {
    for (let index = 0; index < 10; index += 1) await fail(`everybody-${index}@example.com`);
    expect(await alerts()).toEqual([{ kind: 'failed_logins', email: null, ip: null, failures: 9 }]);
  });

  it('does not forget what it counted when it is restarted', async () => {
    await fail('restart@example.com', 3);
    await server.restart();
    await fail('restart@example.com');
    expect(await alerts()).toMatchObject([{ email: 'restart@example.com' }]);
    await server.restart();
    await fail('restart@example.com');
    expect(await alerts()).toEqual([]);
  });

  it('counts only what has failed within the window', async () => {
    await fail('slow@example.com', 3);
    await settle();
    await server.app.get(UnitOfWork).run((tx) => tx.decrement(FailedLogin, { at: MoreThan(0) }, 'at', 600_000));
    await fail('slow@example.com');
    expect(await alerts()).toEqual([]);
    await server.app.get(Housekeeping).runAll();
    expect(await server.app.get(UnitOfWork).run((tx) => tx.count(FailedLogin))).toBe(1);
  });

  it('tells again of what goes on when the cool-down is over', async () => {
    await fail('stubborn@example.com', 4);
    expect(await alerts()).toHaveLength(1);
    await server.app
      .get(UnitOfWork)
      .run((tx) => tx.decrement(RaisedAlert, { raisedAt: MoreThan(0) }, 'raisedAt', HOUR_MS));
    await fail('stubborn@example.com', 2);
    expect(await alerts()).toHaveLength(1);
  });

  it('tells when the account of an admin was locked, and of nobody else’s', async () => {
    const user = await server.api.register();
    await fail(user.email, 5);
    await fail(second.email, 5);
    const locks = (await alerts()).filter((alert) => (alert as { kind: string }).kind === 'admin_locked');
    expect(locks).toEqual([{ kind: 'admin_locked', email: second.email, ip: null, failures: null }]);
    const subjects = mails.inbox.all.map(({ subject }) => subject);
    expect(subjects.filter((subject) => subject?.includes('the admin'))).toEqual(
      Array.from({ length: 2 }, () => `Security alert: the admin ${second.email} was locked`),
    );
  });

  it('reaches other systems as every event does: signed, through a webhook', async () => {
    const receiver = await Receiver.start();
    await server.api.post('/webhooks', { url: receiver.url, events: ['security.*'] }, admin);
    await fail('hooked@example.com', 4);
    const { headers, body } = await receiver.next();
    expect(headers['x-webhook-event']).toBe('security.alert_raised');
    expect(headers['webhook-signature']).toMatch(/^v1,/);
    expect(JSON.parse(body)).toMatchObject({ payload: { kind: 'failed_logins', email: 'hooked@example.com' } });
    await settle();
    await receiver.close();
  });
});

describe('what the extension security-alerts is told', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('stops the start when a value is wrong, with one line per mistake', async () => {
    vi.stubEnv('SECURITY_ALERTS_FAILURES_TOTAL', 'many');
    vi.stubEnv('SECURITY_ALERTS_WINDOW', '10');
    const start = TestServer.start({ HERALD_EXTENSIONS: 'herald/security-alerts' }).then((server) => server.close());
    await expect(start).rejects.toThrow(
      new ConfigError(
        'The configuration is not valid:\n' +
          '  SECURITY_ALERTS_FAILURES_TOTAL: "many" is not a whole number; for example SECURITY_ALERTS_FAILURES_TOTAL=100\n' +
          '  SECURITY_ALERTS_WINDOW: "10" is not a duration (a number and one of ms, s, m, h, d); for example SECURITY_ALERTS_WINDOW=10m',
      ),
    );
  });

  it('counts no total and mails nobody where that is switched off', async () => {
    vi.stubEnv('SECURITY_ALERTS_FAILURES_PER_ADDRESS', '2');
    vi.stubEnv('SECURITY_ALERTS_FAILURES_TOTAL', '0');
    vi.stubEnv('SECURITY_ALERTS_MAIL', 'false');
    const mails = await MailServer.start();
    const server = await TestServer.start({ HERALD_EXTENSIONS: 'herald/security-alerts', MAIL_URL: mails.url });
    const { email } = await server.api.register();
    for (let time = 0; time < 2; time += 1) await server.api.post('/auth/login', { email, password: 'wrong' });
    await server.app.get(DurableReaders).caughtUp();
    await server.app.get(JobWorker).idle();
    const { accessToken } = await server.api.login(ADMIN);
    const { body } = await server.api.get('/events?type=security.*', accessToken);
    expect(body.data.items.map(({ payload }: { payload: { ip: unknown } }) => payload.ip)).toEqual([null, '127.0.0.1']);
    await server.close();
    expect(mails.inbox.all.filter(({ subject }) => subject?.startsWith('Security alert'))).toEqual([]);
    await mails.close();
  });
});
