import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { OneTimeToken } from '../../src/auth/one-time-token.entity.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import type { TestUser } from '../support/api.js';
import { MailServer } from '../support/mail-server.js';
import { turnOnMfa } from '../support/accounts.js';
import { ADMIN, TestServer } from '../support/server.js';

const VERIFY = 'Verify your email address';
const RESET = 'Reset your password';

describe('tokens that travel by mail', () => {
  let mails: MailServer;
  let server: TestServer;
  let admin: string;
  beforeAll(async () => {
    mails = await MailServer.start();
    server = await TestServer.start({ MAIL_URL: mails.url, PUBLIC_URL: 'https://herald.example/' });
    admin = (await server.api.login(ADMIN)).accessToken;
  });
  afterAll(async () => {
    await server.close();
    await mails.close();
  });

  const taken = new Set<unknown>();
  /** Waits for the next mail of a kind to an address, and returns the token in it. */
  async function tokenFor(email: string, subject: string): Promise<string> {
    const find = () =>
      mails.inbox.all.find((mail) => mail.subject === subject && mail.envelopeTo.includes(email) && !taken.has(mail));
    await expect.poll(find, { interval: 5 }).toBeDefined();
    const mail = find();
    taken.add(mail);
    const page = subject === VERIFY ? 'verify-email' : 'reset-password';
    const [, token = ''] =
      new RegExp(`https://herald\\.example/${page}#token=([\\w-]{43})\\b`).exec(mail?.text ?? '') ?? [];
    expect(mail?.html).toContain(`#token=${token}`);
    expect(token).not.toBe('');
    return token;
  }
  const verify = (token: string) => server.api.post('/auth/verify-email', { token });
  const reset = (token: string, password: string) => server.api.post('/auth/reset-password', { token, password });
  const forgot = (email: string) => server.api.post('/auth/forgot-password', { email });
  const isVerified = async ({ accessToken }: TestUser) =>
    (await server.api.get('/users/me', accessToken)).body.data.emailVerified as boolean;
  const expire = () => server.app.get(UnitOfWork).run((tx) => tx.updateAll(OneTimeToken, { expiresAt: 1 }));

  it('verify an address after registration, once, and publish email.verified', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    expect(await isVerified(user)).toBe(false);
    const token = await tokenFor(user.email, VERIFY);
    const { status, body } = await verify(token);
    expect([status, body.data]).toEqual([200, { message: expect.any(String) }]);
    expect((await socket.nextEvent('email.verified'))['event']).toMatchObject({ payload: { userId: user.id } });
    expect(await isVerified(user)).toBe(true);
    expect((await verify(token)).status).toBe(401);
    // Nothing more is sent to an address that is verified.
    const before = mails.inbox.all.length;
    expect((await server.api.post('/auth/resend-verification', undefined, user.accessToken)).status).toBe(200);
    expect(mails.inbox.all.length).toBe(before);
  });

  it('are replaced by the newest, and end with their time', async () => {
    const user = await server.api.register();
    const first = await tokenFor(user.email, VERIFY);
    await server.api.post('/auth/resend-verification', undefined, user.accessToken);
    const second = await tokenFor(user.email, VERIFY);
    expect((await verify(first)).status).toBe(401);
    await expire();
    expect((await verify(second)).status).toBe(401);
    expect(await isVerified(user)).toBe(false);
    await server.api.post('/auth/resend-verification', undefined, user.accessToken);
    expect((await verify(await tokenFor(user.email, VERIFY))).status).toBe(200);
  });

  it('verify a new address, which makes the old one’s token worthless; the old address is told', async () => {
    const user = await server.api.register();
    const old = await tokenFor(user.email, VERIFY);
    await verify(old);
    const email = `new-${user.email}`;
    const changed = await server.api.patch('/users/me', { email }, user.accessToken);
    expect(changed.body.data).toMatchObject({ email, emailVerified: false });
    const told = await mails.inbox.next(({ subject }) => subject === 'The address of your account was changed');
    expect(told.envelopeTo).toEqual([user.email]);
    expect((await verify(await tokenFor(email, VERIFY))).status).toBe(200);
    expect(await isVerified(user)).toBe(true);
  });

  it('reset a password, once: every session ends, password.reset is published, and its owner is told', async () => {
    const user = await server.api.register();
    const watcher = await server.subscriber(admin, ['password.reset']);
    expect((await forgot(user.email)).status).toBe(200);
    const token = await tokenFor(user.email, RESET);
    // A password that breaks the policy leaves the token as it was.
    const weak = await reset(token, 'short');
    expect([weak.status, weak.body.error.details[0].code]).toEqual([400, 'PASSWORD_TOO_SHORT']);
    const outcomes = await Promise.all([1, 2, 3].map((n) => reset(token, `Another-horse-${n}`)));
    expect(outcomes.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401, 401]);
    expect((await watcher.nextEvent('password.reset'))['event']).toMatchObject({ payload: { userId: user.id } });
    expect((await server.api.get('/users/me', user.accessToken)).status).toBe(401);
    expect((await server.api.post('/auth/refresh', { refreshToken: user.refreshToken })).status).toBe(401);
    expect((await server.api.post('/auth/login', user)).status).toBe(422);
    const winner = outcomes.findIndex(({ status }) => status === 200) + 1;
    await server.api.login({ email: user.email, password: `Another-horse-${winner}` });
    await mails.inbox.next(
      ({ subject, envelopeTo }) => subject === 'Your password was reset' && envelopeTo.includes(user.email),
    );
  });

  it('reset a password and nothing else: a second factor is still asked for', async () => {
    const user = await server.api.register();
    await turnOnMfa(server, user);
    await forgot(user.email);
    expect((await reset(await tokenFor(user.email, RESET), 'Another-horse-9')).status).toBe(200);
    const { body } = await server.api.post('/auth/login', { email: user.email, password: 'Another-horse-9' });
    expect(body.data).toEqual({ mfaRequired: true, mfaToken: expect.any(String) });
  });

  it('are good for one thing alone, and never stand in an answer', async () => {
    const user = await server.api.register();
    await forgot(user.email);
    const [verification, resetting] = [await tokenFor(user.email, VERIFY), await tokenFor(user.email, RESET)];
    expect((await verify(resetting)).status).toBe(401);
    expect((await reset(verification, 'Another-horse-2')).status).toBe(401);
    for (const token of [verification, resetting]) {
      expect((await server.api.get('/users/me', token)).status).toBe(401);
      expect((await server.api.post('/auth/refresh', { refreshToken: token })).status).toBe(401);
    }
    // The jobs that carried them are shown to admins, and do not show them.
    const jobs = await server.app.get(JobQueue).list({ type: 'mail.send', limit: 20 });
    const shown = await Promise.all(jobs.map(({ id }) => server.api.get(`/jobs/${id}`, admin)));
    const text = JSON.stringify(shown.map(({ body }) => body));
    expect(text).toContain('sealedToken');
    for (const token of [verification, resetting]) expect(text).not.toContain(token);
  });

  it('are asked for with the same answer by whoever has an account and whoever has none', async () => {
    const user = await server.api.register();
    const [known, unknown] = [await forgot(user.email), await forgot('nobody@example.com')];
    expect([known.status, known.body]).toEqual([unknown.status, unknown.body]);
    await tokenFor(user.email, RESET);
    expect(mails.inbox.all.flatMap(({ envelopeTo }) => envelopeTo)).not.toContain('nobody@example.com');
    for (const body of [{}, { email: 'no address' }, { email: user.email, more: 1 }]) {
      expect((await server.api.post('/auth/forgot-password', body)).status).toBe(422);
    }
    expect((await verify('')).status).toBe(422);
    expect((await verify('x'.repeat(600))).status).toBe(422);
    expect((await verify('unknown')).status).toBe(401);
    expect((await server.api.post('/auth/resend-verification', undefined)).status).toBe(401);
  });
});
