import { generateSecret, generateSync } from 'otplib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { TotpFactor } from '../../src/mfa/totp-factor.entity.js';
import { Session } from '../../src/users/session.entity.js';
import type { Answer, TestUser } from '../support/api.js';
import { TestServer } from '../support/server.js';

/** The code of an authenticator app now, or some steps from now. */
const codeOf = (secret: string, steps = 0) =>
  generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + steps * 30 });

describe('the second factor', () => {
  let server: TestServer;
  let user: TestUser;
  beforeAll(async () => {
    server = await TestServer.start({ LOCKOUT_MAX_ATTEMPTS: '3' });
  });
  beforeEach(async () => {
    user = await server.api.register();
  });
  afterAll(() => server.close());

  const post = (path: string, body: unknown, token = user.accessToken) =>
    server.api.post(`/auth/mfa/${path}`, body, token);
  const statuses = (answers: Answer[]) => answers.map(({ status }) => status).toSorted((a, b) => a - b);
  /** Lets the app's next code be accepted although the last one was just now. */
  const forgetStep = () =>
    server.app.get(UnitOfWork).run((tx) => tx.update(TotpFactor, { userId: user.id }, { lastStep: 1 }));
  async function turnOn(): Promise<{ secret: string; recoveryCodes: string[] }> {
    const { secret } = (await post('setup', undefined)).body.data as { secret: string };
    const { status, body } = await post('enable', { secret, code: codeOf(secret) });
    expect(status, JSON.stringify(body)).toBe(200);
    await forgetStep();
    return { secret, recoveryCodes: body.data.recoveryCodes as string[] };
  }
  async function passwordRight(): Promise<string> {
    const { status, body } = await server.api.post('/auth/login', { email: user.email, password: user.password });
    expect([status, body.data]).toEqual([200, { mfaRequired: true, mfaToken: expect.any(String) }]);
    return body.data.mfaToken as string;
  }

  it('is set up, confirmed with a code, asked for at login, and turned off, with its events', async () => {
    const socket = await server.subscriber(user.accessToken);
    const { body: setup } = await post('setup', undefined);
    const { secret, uri, qrCode } = setup.data;
    expect(uri).toMatch(/^otpauth:\/\/totp\/Herald:/);
    expect(uri).toContain(`secret=${secret}`);
    expect(qrCode).toMatch(/^data:image\/png;base64,/);
    // Until it is confirmed it counts for nothing.
    await server.api.login(user);
    expect((await post('enable', { secret, code: '000000' })).status).toBe(401);
    const own = generateSecret();
    expect((await post('enable', { secret: own, code: codeOf(own) })).status).toBe(401);
    const enabled = await post('enable', { secret, code: codeOf(secret) });
    expect(enabled.body.data.recoveryCodes).toHaveLength(10);
    expect((await socket.nextEvent('mfa.enabled'))['event']).toMatchObject({ payload: { userId: user.id } });
    expect((await server.api.get('/users/me', user.accessToken)).body.data.mfaEnabled).toBe(true);
    expect((await post('setup', undefined)).status).toBe(409);

    const mfaToken = await passwordRight();
    await forgetStep();
    const verified = await post('verify', { mfaToken, code: codeOf(secret) });
    expect(verified.status).toBe(200);
    expect((await server.api.get('/users/me', verified.body.data.accessToken as string)).status).toBe(200);
    // One more login: the right password alone is none.
    await socket.nextEvent('login.success');
    expect(socket.events.filter((type) => type === 'login.success')).toHaveLength(2);

    await forgetStep();
    expect((await post('disable', { code: '000000' })).status).toBe(401);
    expect((await post('disable', { code: codeOf(secret) })).status).toBe(200);
    expect((await socket.nextEvent('mfa.disabled'))['event']).toMatchObject({ payload: { userId: user.id } });
    await server.api.login(user);
    expect((await post('disable', { code: codeOf(secret) })).status).toBe(409);
    expect(socket.events.filter((type) => type === 'login.failed')).toEqual([]);
  });

  it('accepts no code twice, also when it comes many times at once', async () => {
    const { secret } = await turnOn();
    const mfaToken = await passwordRight();
    const code = codeOf(secret);
    const answers = await Promise.all([1, 2].map(() => post('verify', { mfaToken, code })));
    expect(statuses(answers)).toEqual([200, 401]);
    // An earlier code is worth nothing after a later one.
    const again = await passwordRight();
    expect((await post('verify', { mfaToken: again, code: codeOf(secret, -1) })).status).toBe(401);
  });

  it('is stood in for by a recovery code, once each, also in a race', async () => {
    const { recoveryCodes } = await turnOn();
    const [first = '', second = ''] = recoveryCodes;
    const mfaToken = await passwordRight();
    const answers = await Promise.all([1, 2].map(() => post('verify', { mfaToken, code: first })));
    expect(statuses(answers)).toEqual([200, 401]);
    expect(
      (await post('verify', { mfaToken: await passwordRight(), code: second.toUpperCase().replaceAll('-', ' ') }))
        .status,
    ).toBe(200);
    // Another account's codes are worth nothing.
    const other = await server.api.register();
    const mine = user;
    user = other;
    await turnOn();
    expect((await post('verify', { mfaToken: await passwordRight(), code: recoveryCodes[2] })).status).toBe(401);
    user = mine;
  });

  it('locks the account after too many wrong codes, with the events of failed logins', async () => {
    const { secret } = await turnOn();
    const socket = await server.subscriber(user.accessToken);
    const mfaToken = await passwordRight();
    expect((await post('verify', { mfaToken, code: '000000' })).status).toBe(401);
    // The right password in between does not forget the wrong codes.
    await passwordRight();
    expect((await post('verify', { mfaToken, code: '000000' })).status).toBe(401);
    const locked = await post('verify', { mfaToken, code: '000000' });
    expect([locked.status, locked.body.error.details[0].code]).toEqual([403, 'ACCOUNT_LOCKED']);
    await socket.nextEvent('account.locked');
    expect((await post('verify', { mfaToken, code: codeOf(secret) })).status).toBe(403);
    expect((await server.api.post('/auth/login', { email: user.email, password: user.password })).status).toBe(403);
  });

  it('has a token that is good for nothing else, and ends with the password', async () => {
    const { secret } = await turnOn();
    const mfaToken = await passwordRight();
    expect((await server.api.get('/users/me', mfaToken)).status).toBe(401);
    expect((await server.api.post('/auth/refresh', { refreshToken: mfaToken })).status).toBe(401);
    expect((await server.api.get(`/events/stream?token=${mfaToken}`)).status).toBe(401);
    const socket = await server.webSocket();
    socket.send({ type: 'auth', token: mfaToken });
    expect(await socket.next()).toEqual({ type: 'auth', ok: false });
    for (const wrong of [user.accessToken, user.refreshToken, 'x']) {
      expect((await post('verify', { mfaToken: wrong, code: codeOf(secret) })).status).toBe(401);
    }
    const change = { password: 'Another-horse-2', currentPassword: user.password };
    await server.api.patch('/users/me', change, user.accessToken);
    expect((await post('verify', { mfaToken, code: codeOf(secret) })).status).toBe(401);
  });

  it('is turned off with the password as well, unless the login is recent', async () => {
    const { secret } = await turnOn();
    await server.app
      .get(UnitOfWork)
      .run((tx) => tx.update(Session, { userId: user.id }, { createdAt: Date.now() - 16 * 60_000 }));
    const without = await post('disable', { code: codeOf(secret) });
    expect([without.status, without.body.error.details[0].field]).toEqual([422, 'password']);
    expect((await post('disable', { code: codeOf(secret), password: 'Wrong-horse-1' })).status).toBe(401);
    expect((await post('disable', { code: codeOf(secret), password: user.password })).status).toBe(200);
  });

  it('refuses what is no code, and strangers', async () => {
    for (const path of ['setup', 'enable', 'disable'])
      expect((await server.api.post(`/auth/mfa/${path}`, {})).status).toBe(401);
    expect((await post('enable', { secret: 'x' })).status).toBe(422);
    expect((await post('enable', { secret: 'x', code: '1' })).status).toBe(401);
    expect((await post('disable', {})).status).toBe(422);
    expect((await post('verify', { mfaToken: 'x' })).status).toBe(422);
  });
});
