import { once } from 'node:events';
import { connect } from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Public } from '../../src/common/principal.js';
import type { TestUser } from '../support/api.js';
import { TestServer } from '../support/server.js';

/** Every error there is has this shape, and no other field. */
function expectContract(body: { error: { code: string; message: string }; requestId: string }, code: string): void {
  expect(Object.keys(body)).toEqual(['error', 'requestId']);
  expect(body.error.code).toBe(code);
  expect(body.error.message).not.toBe('');
  expect(JSON.stringify(body)).not.toMatch(/\bat .+:\d+:\d+|node_modules|\.js:/);
}

@Public()
@Controller('breaks')
class BreakingController {
  @Get()
  break(): never {
    throw new Error('the connection string is postgres://user:secret@db');
  }
}

class Shared {
  @Get()
  read(): string[] {
    return [];
  }
}
@Public()
@Controller('open')
class OpenController extends Shared {}
@Controller('closed')
class ClosedController extends Shared {}

@Module({ controllers: [BreakingController, OpenController, ClosedController] })
class BreakingModule {}

describe('bad input over REST', () => {
  let server: TestServer;
  let user: TestUser;
  beforeAll(async () => {
    server = await TestServer.start({}, [BreakingModule]);
    user = await server.api.register();
  });
  afterAll(() => server.close());

  it('finds a route closed whose method another controller, which is open, inherits too', async () => {
    for (const _ of [1, 2]) {
      expect((await server.api.get('/open')).status).toBe(200);
      expect((await server.api.get('/closed')).status).toBe(401);
    }
  });

  it('gets a general sentence when something breaks on our side, and nothing of what broke', async () => {
    const { status, body } = await server.api.get('/breaks');
    expect(status).toBe(500);
    expectContract(body, 'INTERNAL');
    expect(body.error).toEqual({ code: 'INTERNAL', message: 'Something went wrong on our side' });
  });

  const login = (body: unknown, headers: object = {}) => server.api.call('POST', '/auth/login', { body, headers });

  it.each([
    ['malformed JSON', '{"email":', 400, 'BAD_REQUEST'],
    ['a duplicate key', '{"email":"a@example.com","password":"x","password":"y"}', 400, 'BAD_REQUEST'],
    ['null', 'null', 422, 'VALIDATION'],
    ['a number', '5', 422, 'VALIDATION'],
    ['an array', '[]', 422, 'VALIDATION'],
    ['a string', '"x"', 422, 'VALIDATION'],
    ['nothing', '', 422, 'VALIDATION'],
    ['an empty object', '{}', 422, 'VALIDATION'],
    ['null fields', '{"email":null,"password":null}', 422, 'VALIDATION'],
    ['an array as a field', '{"email":["a@example.com"],"password":{}}', 422, 'VALIDATION'],
    ['an unknown field', '{"email":"a@example.com","password":"x","a":1}', 422, 'VALIDATION'],
    ['a prototype', '{"email":"a@example.com","password":"x","__proto__":{"admin":true}}', 401, 'UNAUTHORIZED'],
    ['an address that is none', '{"email":"nobody","password":"x"}', 422, 'VALIDATION'],
    ['an endless address', `{"email":"${'a'.repeat(300)}@example.com","password":"x"}`, 422, 'VALIDATION'],
    ['a NUL in the address', '{"email":"a\\u0000@example.com","password":"x"}', 400, 'BAD_REQUEST'],
  ])('%s', async (_name, body, status, code) => {
    const answer = await login(body);
    expect(answer.status).toBe(status);
    expectContract(answer.body, code);
    if (code === 'VALIDATION') {
      expect(answer.body.error.details[0]).toMatchObject({ field: expect.any(String), message: expect.any(String) });
    }
  });

  it('says which type a body must be of', async () => {
    const { status, body } = await login('email=ada@example.com', {
      'Content-Type': 'application/x-www-form-urlencoded',
    });
    expect(status).toBe(400);
    expect(body.error).toEqual({ code: 'BAD_REQUEST', message: 'The Content-Type must be application/json' });
  });

  it('answers a body of 10 MB with 413, with and without a length', async () => {
    const huge = JSON.stringify({ email: 'a@example.com', password: 'x'.repeat(10_000_000) });
    const answer = await login(huge);
    expect(answer.status).toBe(413);
    expectContract(answer.body, 'PAYLOAD_TOO_LARGE');
    const chunked = await fetch(`${server.url}/api/v1/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: new Blob([huge]).stream(),
      duplex: 'half',
    });
    expect(chunked.status).toBe(413);
  });

  it.each([
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    '',
  ])('answers the Content-Type %j with 400', async (type) => {
    const answer = await login('x', { 'Content-Type': type });
    expect(answer.status).toBe(400);
    expectContract(answer.body, 'BAD_REQUEST');
  });

  it('answers an unknown route, and a method a route has not, with 404 and without the query', async () => {
    for (const [method, path] of [
      ['GET', '/nope?token=secret-token'],
      ['DELETE', '/auth/login?token=secret-token'],
      ['GET', '/%2e%2e/%2e%2e/etc/passwd'],
    ] as const) {
      const answer = await server.api.call(method, path);
      expect(answer.status).toBe(404);
      expectContract(answer.body, 'NOT_FOUND');
      expect(JSON.stringify(answer.body)).not.toContain('secret-token');
    }
  });

  it('echoes a usable X-Request-Id in header and body, and replaces any other', async () => {
    const given = await server.api.call('GET', '/nope', { headers: { 'X-Request-Id': 'abc-123' } });
    expect([given.headers.get('x-request-id'), given.body.requestId]).toEqual(['abc-123', 'abc-123']);
    for (const id of ['a b', 'x'.repeat(200), '<script>']) {
      const replaced = await server.api.call('GET', '/nope', { headers: { 'X-Request-Id': id } });
      expect(replaced.body.requestId).toMatch(/^[0-9a-f-]{36}$/);
      expect(replaced.headers.get('x-request-id')).toBe(replaced.body.requestId);
    }
  });

  it('sends the security headers with every answer', async () => {
    for (const path of ['/nope', '/users/me']) {
      const { headers } = await server.api.get(path, user.accessToken);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'");
      expect(headers.get('strict-transport-security')).toContain('max-age=');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });

  it.each([
    ['a malformed URL', 'GET /api/v1/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    ['a NUL in the path', 'GET /api/v1/events/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    ['a NUL in the query', 'GET /api/v1/events?after=x%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    ['no HTTP at all', 'hello there\r\n\r\n'],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`],
    [
      'a body shorter than its length',
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n{}',
    ],
  ])('answers %s with 400 in the contract’s shape', async (_name, bytes) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(bytes);
    const [data] = (await once(socket, 'data')) as [Buffer];
    const text = data.toString();
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expectContract(JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)), 'BAD_REQUEST');
    socket.destroy();
    expect((await server.api.get('/users/me', user.accessToken)).status).toBe(200);
  });
});

describe('CORS', () => {
  it('allows the listed origins and no other', async () => {
    const server = await TestServer.start({ CORS_ORIGINS: 'https://app.example.com' });
    try {
      const preflight = (origin: string) =>
        server.api.call('OPTIONS', '/users/me', {
          headers: {
            Origin: origin,
            'Access-Control-Request-Method': 'PATCH',
            'Access-Control-Request-Headers': 'authorization',
          },
        });
      const allowed = await preflight('https://app.example.com');
      expect(allowed.status).toBe(204);
      expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
      expect(allowed.headers.get('access-control-allow-methods')).toContain('PATCH');
      const refused = await preflight('https://evil.example.com');
      expect(refused.headers.get('access-control-allow-origin')).toBeNull();
    } finally {
      await server.close();
    }
  });
});

describe('odd HTTP', () => {
  let server: TestServer;
  let user: TestUser;
  beforeAll(async () => {
    server = await TestServer.start();
    user = await server.api.register();
  });
  afterAll(() => server.close());

  /** Sends bytes on one connection, and others once something has come; resolves with all that came, at the end. */
  async function send(bytes: string, behind: [after: string, bytes: string] = ['\0', '']): Promise<string> {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.endsWith(behind[0])) socket.write(behind[1]);
    });
    socket.write(bytes);
    await once(socket, 'close');
    return text;
  }

  it('answers a request without a Host in the contract’s shape', async () => {
    const text = await send('GET /api/v1/users/me HTTP/1.1\r\nConnection: close\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expectContract(JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)), 'BAD_REQUEST');
  });

  it('ignores an expectation that it does not know', async () => {
    const text = await send('GET /api/v1/users/me HTTP/1.1\r\nHost: x\r\nExpect: more\r\nConnection: close\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
    expectContract(JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)), 'UNAUTHORIZED');
  });

  it('writes nothing else into a stream that has begun: garbage and a handshake behind it cut it off', async () => {
    const request = `GET /api/v1/events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.accessToken}\r\n\r\n`;
    const handshake = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    for (const behind of ['garbage\r\n\r\n', `GET /ws HTTP/1.1\r\nHost: x\r\n${handshake}\r\n`]) {
      const text = await send(request, ['\n\n\r\n', behind]);
      expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    }
  });
});
