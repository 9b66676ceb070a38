import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mailedToken, turnOnMfa } from '../support/accounts.js';
import type { Answer, TestUser } from '../support/api.js';
import { ADMIN, TestServer } from '../support/server.js';

const KEY = 'a-key-of-this-test-that-is-long-enough';
const NEW_PASSWORD = 'Another-horse-2';

describe('a secret opens the one door it was made for', () => {
  let server: TestServer;
  let user: TestUser;
  /** Every secret there is, and what an attacker makes of them, by name. */
  let secrets: Record<string, string>;
  /** A second recovery code, so that the door of the mfaToken has a right code. */
  let spareCode: string;

  beforeAll(async () => {
    server = await TestServer.start({ JWT_SECRET: KEY, LOCKOUT_MAX_ATTEMPTS: '0' });
    const { api } = server;
    const admin = (await api.login(ADMIN)).accessToken;
    user = await api.register();
    await api.post('/auth/forgot-password', { email: user.email });
    const scopes = ['events:read', 'users:read', 'users:manage'];
    const made = (await api.post('/api-keys', { name: 'A program', scopes }, user.accessToken)).body.data;
    const hook = { url: 'https://example.com/hook', events: ['mfa.disabled'] };
    const { secret: webhookSecret } = (await api.post('/webhooks', hook, admin)).body.data as { secret: string };
    const { code, recoveryCodes } = await turnOnMfa(server, user);
    const [recoveryCode = '', spare = ''] = recoveryCodes;
    spareCode = spare;
    const newTicket = async () =>
      (await api.post('/events/stream-tickets', undefined, user.accessToken)).body.data.ticket as string;
    const { mfaToken } = (await api.post('/auth/login', { email: user.email, password: user.password })).body.data;
    const past = Math.floor(Date.now() / 1000) - 1;
    secrets = {
      'an access token': user.accessToken,
      'a refresh token': user.refreshToken,
      'an mfaToken': mfaToken as string,
      'a stream ticket': await newTicket(),
      'another stream ticket': await newTicket(),
      'an API key': made.rawKey as string,
      'a verification token': await mailedToken(server, 'verify-email', user.email),
      'a reset token': await mailedToken(server, 'reset-password', user.email),
      'a TOTP code': code,
      'a recovery code': recoveryCode,
      'a webhook secret': webhookSecret,
      'the id of a key': made.key.id as string,
      'the id of an account': user.id,
      'a password': user.password,
      // What a reader of the database would have.
      'the hash of a refresh token': createHash('sha256').update(user.refreshToken).digest('hex'),
      'an access token without a signature': remade(user.accessToken, { alg: 'none' }, {}, ''),
      'an access token with another typ': remade(user.accessToken, { typ: 'mfa+jwt' }, {}, 'as before'),
      'an mfaToken with another typ': remade(mfaToken as string, { typ: 'at+jwt' }, {}, 'as before'),
      // Signed with the right key, as if another of its tokens had been mislabelled.
      'an access token signed as an mfaToken': remade(user.accessToken, { typ: 'mfa+jwt' }, {}),
      'an mfaToken signed as an access token': remade(mfaToken as string, { typ: 'at+jwt' }, {}),
      'an expired access token': remade(user.accessToken, {}, { exp: past }),
      'an expired mfaToken': remade(mfaToken as string, {}, { exp: past }),
    };
  });
  afterAll(() => server.close());

  /** A JWT with another header and payload, signed with the server's own key unless told otherwise. */
  function remade(token: string, header: object, payload: object, signature?: '' | 'as before'): string {
    const [head = '', body = '', before = ''] = token.split('.');
    const change = (part: string, by: object) =>
      Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(part, 'base64url').toString()), ...by })).toString(
        'base64url',
      );
    const text = `${change(head, header)}.${change(body, payload)}`;
    if (signature !== undefined) return `${text}.${signature === '' ? '' : before}`;
    return `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`;
  }

  const statusOf = async (answer: Promise<Answer>) => (await answer).status;
  const post = (path: string, body: object, token?: string) => statusOf(server.api.post(path, body, token));
  async function stream(query: Record<string, string>): Promise<number> {
    const client = await server.stream({ query });
    client.close();
    return client.response.status;
  }
  /** The answer of the WebSocket, told as the status that REST would give. */
  async function socket(credential: object): Promise<number> {
    const client = await server.webSocket();
    client.send({ type: 'auth', ...credential });
    const answer = await client.next();
    client.close();
    if (answer['ok'] !== true) expect(answer).toStrictEqual({ type: 'auth', ok: false });
    return answer['ok'] === true ? 200 : 401;
  }

  interface Door {
    name: string;
    /** The secrets that open it. */
    takes: string[];
    /** What would open it as well, and is kept for another door. */
    spares?: string[];
    opened?: number;
    /** The longest secret its schema lets through; a longer one is 422. */
    max?: number;
    knock: (secret: string) => Promise<number>;
  }
  /** In this order, because the last ones end the session that the others need. */
  const doors: Door[] = [
    {
      name: 'Authorization: Bearer',
      takes: ['an access token'],
      knock: (token) => statusOf(server.api.get('/users/me', token)),
    },
    {
      name: 'X-API-Key',
      takes: ['an API key'],
      knock: (key) => statusOf(server.api.call('GET', '/events', { headers: { 'X-API-Key': key } })),
    },
    { name: '?token= of the stream', takes: ['an access token'], knock: (token) => stream({ token }) },
    {
      name: 'ticket of the WebSocket',
      takes: ['a stream ticket'],
      spares: ['another stream ticket'],
      knock: (ticket) => socket({ ticket }),
    },
    {
      name: '?ticket= of the stream',
      takes: ['another stream ticket'],
      spares: ['a stream ticket'],
      knock: (ticket) => stream({ ticket }),
    },
    {
      name: '?token= of any other route',
      takes: [],
      knock: (token) => statusOf(server.api.get(`/events?${new URLSearchParams({ token }).toString()}`)),
    },
    { name: 'token of the WebSocket', takes: ['an access token'], knock: (token) => socket({ token }) },
    { name: 'apiKey of the WebSocket', takes: ['an API key'], knock: (apiKey) => socket({ apiKey }) },
    {
      name: 'verify-email',
      takes: ['a verification token'],
      knock: (token) => post('/auth/verify-email', { token }),
    },
    {
      name: 'the mfaToken of mfa/verify',
      takes: ['an mfaToken'],
      knock: (mfaToken) => post('/auth/mfa/verify', { mfaToken, code: spareCode }),
    },
    {
      name: 'the code of mfa/verify',
      takes: ['a TOTP code', 'a recovery code'],
      max: 32,
      knock: (code) => post('/auth/mfa/verify', { mfaToken: secrets['an mfaToken'], code }),
    },
    {
      name: 'refresh',
      takes: ['a refresh token'],
      knock: (refreshToken) => post('/auth/refresh', { refreshToken }),
    },
    {
      name: 'logout',
      takes: ['a refresh token'],
      opened: 204,
      knock: (refreshToken) => post('/auth/logout', { refreshToken }, user.accessToken),
    },
    {
      name: 'reset-password',
      takes: ['a reset token'],
      knock: (token) => post('/auth/reset-password', { token, password: NEW_PASSWORD }),
    },
  ];

  it.each(doors)('$name opens to $takes and to nothing else', async ({ takes, spares = [], max = Infinity, knock }) => {
    const [answers, expected]: Record<string, number>[] = [{}, {}];
    for (const [name, secret] of Object.entries(secrets)) {
      if (takes.includes(name) || spares.includes(name)) continue;
      Object.assign(answers ?? {}, { [name]: await knock(secret) });
      Object.assign(expected ?? {}, { [name]: secret.length > max ? 422 : 401 });
    }
    expect(answers).toEqual(expected);
  });

  it('nor does a right secret mend a wrong one beside it', async () => {
    const [wrong, apiKey] = [String(secrets['a refresh token']), String(secrets['an API key'])];
    const get = (path: string, options: object) => statusOf(server.api.call('GET', path, options));
    const headers = { 'X-API-Key': apiKey };
    expect(await get('/events', { token: wrong, headers })).toBe(401);
    expect(await get(`/events/stream?token=${wrong}`, { headers })).toBe(401);
    expect(await get(`/events/stream?token=${user.accessToken}`, { token: wrong })).toBe(401);
  });

  it.each(doors.filter(({ takes }) => takes.length > 0))(
    '$name still opens to $takes: no wrong door has used it up',
    async ({ takes, opened = 200, knock }) => {
      for (const name of takes) expect([name, await knock(String(secrets[name]))]).toEqual([name, opened]);
    },
  );
});
