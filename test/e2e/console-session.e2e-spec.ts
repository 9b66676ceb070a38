import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { recordSecret } from '../support/recorder.js';
import { ADMIN, TestServer } from '../support/server.js';

let server: TestServer;

interface Asked {
  cookie?: string | undefined;
  body?: object;
  headers?: Record<string, string | undefined>;
}

/** Asks as the page does, unless `headers` say otherwise; undefined leaves one out. */
async function ask(method: string, path: string, { cookie, body, headers }: Asked = {}) {
  const all = {
    'X-Herald-Console': '1',
    Origin: server.url,
    'Sec-Fetch-Site': 'same-origin',
    ...(cookie !== undefined && { Cookie: cookie }),
    ...(body && { 'Content-Type': 'application/json' }),
    ...headers,
  };
  const sent = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const response = await fetch(`${server.url}/console/session${path}`, {
    method,
    headers: sent,
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const setCookie = response.headers.get('set-cookie') ?? undefined;
  const token = /=([\w-]{43});/.exec(setCookie ?? '')?.[1];
  if (token !== undefined) recordSecret(token);
  return {
    status: response.status,
    setCookie,
    /** What a browser would send back. */
    cookie: setCookie?.split(';')[0],
    body: text === '' ? undefined : JSON.parse(text),
  };
}

async function begin(): Promise<string> {
  const { refreshToken } = await server.api.login(ADMIN);
  const { status, cookie = '' } = await ask('POST', '', { body: { refreshToken } });
  expect(status).toBe(200);
  return cookie;
}

const me = (accessToken: string) => server.api.get('/users/me', accessToken);

describe('the session of the console', () => {
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.close());

  it('takes a session over: the cookie keeps it, and the token that the page had is used up', async () => {
    const { refreshToken } = await server.api.login(ADMIN);
    const { status, body, setCookie } = await ask('POST', '', { body: { refreshToken } });
    expect(status).toBe(200);
    expect(Object.keys(body.data)).toEqual(['accessToken']);
    expect((await me(body.data.accessToken)).status).toBe(200);
    expect(setCookie).toMatch(
      /^herald_console=[\w-]{43}; Path=\/console\/session; Max-Age=604800; HttpOnly; SameSite=Strict$/,
    );
    expect(setCookie).not.toContain(refreshToken);
  });

  it('refreshes: a new access token, a new cookie', async () => {
    const cookie = await begin();
    const answer = await ask('POST', '/refresh', { cookie });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body.data)).toEqual(['accessToken']);
    expect(answer.cookie).not.toBe(cookie);
    expect((await me(answer.body.data.accessToken)).status).toBe(200);
  });

  it('two tabs that refresh at once with the same cookie both go on', async () => {
    const cookie = await begin();
    const answers = await Promise.all([ask('POST', '/refresh', { cookie }), ask('POST', '/refresh', { cookie })]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    for (const { cookie: next } of answers) expect((await ask('POST', '/refresh', { cookie: next })).status).toBe(200);
  });

  it('an old cookie that comes again ends the session for whoever has it', async () => {
    const stolen = await begin();
    const second = await ask('POST', '/refresh', { cookie: stolen });
    const third = await ask('POST', '/refresh', { cookie: second.cookie });
    const reuse = await ask('POST', '/refresh', { cookie: stolen });
    expect(reuse.status).toBe(401);
    expect(reuse.setCookie).toContain('herald_console=; Path=/console/session; Max-Age=0');
    expect((await ask('POST', '/refresh', { cookie: third.cookie })).status).toBe(401);
    expect((await me(third.body.data.accessToken)).status).toBe(401);
  });

  it('an old cookie that comes more than ten seconds later ends the session, even if nobody went on', async () => {
    const cookie = await begin();
    const { cookie: next } = await ask('POST', '/refresh', { cookie });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 10_001 });
    try {
      expect((await ask('POST', '/refresh', { cookie })).status).toBe(401);
      expect((await ask('POST', '/refresh', { cookie: next })).status).toBe(401);
    } finally {
      vi.useRealTimers();
    }
  });

  it('logs out: the session has ended, the cookie is gone, and the event is published', async () => {
    const cookie = await begin();
    const { body } = await ask('POST', '/refresh', { cookie });
    const { accessToken } = body.data;
    const before = (await me(accessToken)).body.data.id;
    const { status, setCookie } = await ask('DELETE', '', { cookie });
    expect(status).toBe(204);
    expect(setCookie).toContain('herald_console=; Path=/console/session; Max-Age=0');
    expect((await me(accessToken)).status).toBe(401);
    const { accessToken: other } = await server.api.login(ADMIN);
    const { items } = (await server.api.get('/events?type=logout', other)).body.data;
    expect(items.at(-1).payload).toEqual({ userId: before });
    const rows = (await server.api.get('/audit?type=logout&limit=1', other)).body.data.items;
    expect(rows[0]).toMatchObject({ actorId: before, sessionId: expect.any(String) });
  });

  it('logs out quietly when there is no session any more', async () => {
    expect((await ask('DELETE', '')).status).toBe(204);
    expect((await ask('DELETE', '', { cookie: 'herald_console=nothing' })).status).toBe(204);
  });

  it('refuses what is no session', async () => {
    expect((await ask('POST', '/refresh')).status).toBe(401);
    expect((await ask('POST', '/refresh', { cookie: 'herald_console=nothing' })).status).toBe(401);
    expect((await ask('POST', '', { body: { refreshToken: 'nothing' } })).status).toBe(401);
    expect((await ask('POST', '', { body: {} })).status).toBe(422);
  });

  const forgeries: [string, Record<string, string | undefined>][] = [
    ['without the header', { 'X-Herald-Console': undefined }],
    ['with another value of the header', { 'X-Herald-Console': 'yes' }],
    ['from another origin', { Origin: 'https://evil.example' }],
    ['from the same host on another port', { Origin: 'http://127.0.0.1:1' }],
    ['from a sandboxed page', { Origin: 'null' }],
    ['without an origin', { Origin: undefined }],
    ['from another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['from a sibling of the host', { 'Sec-Fetch-Site': 'same-site' }],
  ];
  it.each(forgeries)('refuses a request %s, and the session goes on', async (_, headers) => {
    const cookie = await begin();
    for (const [method, path] of [
      ['POST', '/refresh'],
      ['DELETE', ''],
    ] as const) {
      const { status, body, setCookie } = await ask(method, path, { cookie, headers });
      expect([status, body.error.details[0].code, setCookie]).toEqual([403, 'REQUEST_FORGED', undefined]);
    }
    const { refreshToken } = await server.api.login(ADMIN);
    expect((await ask('POST', '', { body: { refreshToken }, headers })).status).toBe(403);
    expect((await ask('POST', '/refresh', { cookie })).status).toBe(200);
  });

  it('a form of another site gets nowhere: it cannot send JSON', async () => {
    const cookie = await begin();
    const headers = { 'Content-Type': 'text/plain', Origin: 'https://evil.example', 'X-Herald-Console': undefined };
    const { status, setCookie } = await ask('POST', '/refresh', { cookie, headers });
    expect([status, setCookie]).toEqual([400, undefined]);
    expect((await ask('POST', '/refresh', { cookie })).status).toBe(200);
  });

  it('no other origin is told that it may send the cookie', async () => {
    const response = await fetch(`${server.url}/console/session/refresh`, {
      method: 'OPTIONS',
      headers: {
        Origin: 'https://evil.example',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'x-herald-console',
      },
    });
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('the cookie opens nothing else', async () => {
    const cookie = await begin();
    const response = await fetch(`${server.url}/api/v1/users/me`, { headers: { Cookie: cookie } });
    expect(response.status).toBe(401);
  });
});

describe('the cookie of the console', () => {
  it('is Secure where the service is reached over https', async () => {
    server = await TestServer.start({ PUBLIC_URL: 'https://herald.example.com' });
    const { refreshToken } = await server.api.login(ADMIN);
    const headers = { Origin: 'https://herald.example.com' };
    const { status, setCookie } = await ask('POST', '', { body: { refreshToken }, headers });
    expect([status, setCookie?.endsWith('; Secure')]).toEqual([200, true]);
    await server.close();
  });

  it('guesses are counted as those of passwords are', async () => {
    server = await TestServer.start({ AUTH_RATE_LIMIT_MAX: '2' });
    const statuses = [];
    for (let n = 0; n < 3; n += 1) statuses.push((await ask('POST', '/refresh')).status);
    expect(statuses).toEqual([401, 401, 429]);
    await server.close();
  });
});
