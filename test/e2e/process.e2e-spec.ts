import { once } from 'node:events';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Api } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { SseClient } from '../support/sse-client.js';
import { WsClient } from '../support/ws-client.js';

/** The built server as a process: how it starts, refuses to start, logs and ends. */
describe('the process', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let database: { DATABASE_URL: string };
  const servers: BuiltServer[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
    database = { DATABASE_URL: `sqlite:${join(folder.path, 'herald.sqlite')}` };
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop('SIGKILL')));
    folder.remove();
  });

  async function start(environment: Record<string, string> = {}): Promise<BuiltServer> {
    const server = await BuiltServer.start({ ...database, ...environment });
    servers.push(server);
    return server;
  }

  /** Starts what must not start, and returns what it says. */
  async function refusal(environment: Record<string, string>): Promise<string> {
    const server = BuiltServer.spawn({ ...database, LOG_LEVEL: 'info', ...environment });
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.output).not.toMatch(/\s+at .+:\d+:\d+/);
    return server.output;
  }

  it('starts with no variables but where to put things, says so, and keeps its key to itself', async () => {
    const server = await start();
    expect(server.output).toMatch(/JWT_SECRET is not set/);
    expect(server.output).toMatch(/there is no admin yet/);
    expect(statSync(`${join(folder.path, 'herald.sqlite')}.jwt-secret`).mode & 0o777).toBe(0o600);
    expect(await (await fetch(`${server.url}/health`)).json()).toMatchObject({ data: { status: 'ok' } });
    expect(await (await fetch(`${server.url}/readiness`)).json()).toMatchObject({ data: { status: 'ready' } });
  });

  it('refuses a bad configuration with one line per mistake', async () => {
    const said = await refusal({ PORT: 'http', JWT_EXPIRES_IN: 'soon', JWT_SECRET: 'short' });
    expect(said).toContain('PORT: "http" is not a whole number; for example PORT=3000');
    expect(said).toContain('JWT_EXPIRES_IN: "soon" is not a duration');
    expect(said).toContain('JWT_SECRET: (not shown) has a key of fewer than 32 bytes');
  });

  it('demands its secrets in production, and starts with them', async () => {
    const said = await refusal({ NODE_ENV: 'production' });
    expect(said).toContain('JWT_SECRET: is required in production');
    expect(said).toContain('DATA_KEY: is required in production');
    const DATA_KEY = Buffer.alloc(32, 7).toString('base64');
    const { output } = await start({ NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32), DATA_KEY });
    // From its very first line on, the log is JSON.
    const lines = output.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).msg)).toContain(
      'MAIL_URL is not set: mails are kept as files and reach nobody',
    );
  });

  it('refuses a second process on the same file, and names the first', async () => {
    const first = await start();
    const said = await refusal({});
    expect(said).toContain(`is in use by process ${first.process.pid}`);
    expect((await fetch(`${first.url}/readiness`)).status).toBe(200);
    await first.stop('SIGKILL');
    await start();
  });

  it('says when its port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    expect(await refusal({ PORT: String(port) })).toContain(`Port ${port} is taken`);
    taken.close();
  });

  it('says when it cannot listen on its address', async () => {
    expect(await refusal({ HOST: '192.0.2.1' })).toContain('HOST is no address of this machine');
    expect(await refusal({ HOST: 'nowhere.invalid' })).toContain('HOST is no address of this machine');
  });

  it('says when the file of its database cannot be used', async () => {
    writeFileSync(join(folder.path, 'letter'), 'Dear database,\n'.repeat(100));
    const says = async (file: string) => refusal({ DATABASE_URL: `sqlite:${join(folder.path, file)}` });
    expect(await says('letter')).toMatch(/letter cannot be used: file is not a database\. .* DATABASE_URL/);
    expect(await says('letter/inside')).toContain('letter/inside cannot be used');
    mkdirSync(join(folder.path, 'drawer'));
    expect(await says('drawer')).toContain('drawer cannot be used: unable to open database file');
  });

  it('refuses a first admin whose password breaks the policy, or whose address is an ordinary account’s', async () => {
    const said = await refusal({ ADMIN_EMAIL: 'admin@example.com', ADMIN_PASSWORD: 'short' });
    expect(said).toContain('at least 8 characters');
    const server = await start();
    await new Api(`${server.url}/api/v1`).register('Correct-horse-1', 'admin@example.com');
    await server.stop('SIGTERM');
    const taken = await refusal({ ADMIN_EMAIL: 'admin@example.com', ADMIN_PASSWORD: 'Admin-password-1' });
    expect(taken).toContain('ordinary account');
  });

  it('ends on SIGTERM with a word to every client, and exit code 0', async () => {
    const server = await start();
    const user = await new Api(`${server.url}/api/v1`).register();
    const socket = await WsClient.open(`${server.url.replace('http', 'ws')}/ws`, {});
    socket.send({ type: 'auth', token: user.accessToken }, { type: 'subscribe', events: ['*'] });
    await socket.next(({ type }) => type === 'subscribed');
    const idle = await WsClient.open(`${server.url.replace('http', 'ws')}/ws`, {});
    const stream = await SseClient.open(`${server.url}/api/v1/events/stream`, { token: user.accessToken });
    await stream.next();
    const ended = server.stop('SIGTERM');
    expect(await socket.closed).toMatchObject({ code: 1001 });
    expect(await idle.closed).toMatchObject({ code: 1001 });
    const end = await stream.nextEvent('stream.end');
    expect(end.data).toBe('{"reason":"shutdown","reconnect":true}');
    await stream.ended;
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  it('started by npm start, gets the signal that npm gets', async () => {
    const server = await BuiltServer.start(database, 'npm start');
    servers.push(server);
    expect(await server.stop('SIGTERM')).toMatchObject({ code: 0 });
    expect(server.output).toContain('SIGTERM: shutting down');
    // The file is free again: nobody was left behind.
    await start();
  });

  it('still answers the request that is under way when SIGTERM comes', async () => {
    const server = await start();
    const witness = await WsClient.open(`${server.url.replace('http', 'ws')}/ws`, {});
    const body = JSON.stringify({ email: 'late@example.com', password: 'Correct-horse-1' });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write(
      'POST /api/v1/auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
        `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    const [interim] = (await once(socket, 'data')) as [Buffer];
    expect(interim.toString()).toMatch(/^HTTP\/1\.1 100 /);
    const ended = server.stop('SIGTERM');
    await witness.closed;
    socket.write(body);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 201 /);
    socket.destroy();
    expect(await ended).toEqual({ code: 0, signal: null });
    const again = await start();
    await new Api(`${again.url}/api/v1`).login({ email: 'late@example.com', password: 'Correct-horse-1' });
  });

  it('does not wait for a connection that has never sent anything', async () => {
    const server = await start({ SHUTDOWN_GRACE_MS: '60000' });
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    await fetch(`${server.url}/health`);
    expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('is not ready any more as soon as it is told to stop, and serves until load balancers have seen it', async () => {
    const server = await start({ SHUTDOWN_DELAY_MS: '1000' });
    const ended = server.stop('SIGTERM');
    await expect.poll(async () => (await fetch(`${server.url}/readiness`)).status, { interval: 5 }).toBe(503);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    await new Api(`${server.url}/api/v1`).register();
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  it('does not wait for a client that never finishes its request', async () => {
    const server = await start({ SHUTDOWN_GRACE_MS: '1000' });
    const sockets = ['POST /api/v1/auth/login HTTP/1.1\r\nContent-Length: 9\r\nHost: x\r\n\r\n{', 'GET /heal'].map(
      (text) => {
        const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(text);
        return socket;
      },
    );
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    // Answered on a connection of its own: the server has read what the others wrote before.
    await new Api(`${server.url}/api/v1`).get('/events');
    expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('logs every request with its id, and no token, password or address of an account', async () => {
    const server = await start({ LOG_LEVEL: 'trace' });
    const api = new Api(`${server.url}/api/v1`);
    const user = await api.register();
    await api.call('GET', '/users/me', { token: user.accessToken, headers: { 'X-Request-Id': 'find-me' } });
    await api.post('/auth/login', { email: user.email, password: 'Wrong-password-1' });
    await api.post('/auth/forgot-password', { email: user.email });
    await api.post('/auth/resend-verification', undefined, user.accessToken);
    await fetch(`${server.url}/%zz?token=${user.accessToken}`);
    await api.get('/admin/users', user.accessToken);
    await api.get(`/nope?token=${user.accessToken}`);
    await api.post('/auth/refresh', { refreshToken: user.refreshToken });
    const query = { token: user.accessToken };
    const stream = await SseClient.open(`${server.url}/api/v1/events/stream`, { query });
    await stream.next();
    const socket = await WsClient.open(`${server.url.replace('http', 'ws')}/ws`, {});
    socket.send({ type: 'auth', token: user.accessToken }, { type: 'auth', token: `${user.accessToken}x` });
    await socket.settle();
    await server.stop('SIGTERM');
    const lines = server.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { requestId?: string; path?: string; status?: number });
    expect(lines).toContainEqual(
      expect.objectContaining({ requestId: 'find-me', path: '/api/v1/users/me', status: 200 }),
    );
    expect(lines).toContainEqual(expect.objectContaining({ path: '/api/v1/events/stream', status: 200 }));
    // Whom it was refused to, and what never became a request.
    expect(lines).toContainEqual(
      expect.objectContaining({ path: '/api/v1/admin/users', status: 403, actorId: user.id, ip: '127.0.0.1' }),
    );
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'The URL is malformed', ip: '127.0.0.1' }));
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'auth', actorId: user.id }));
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'auth refused' }));
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'password.reset_requested' }));
    for (const secret of [user.accessToken, user.refreshToken, user.password, 'Wrong-password-1', user.email]) {
      expect(server.output).not.toContain(secret);
    }
  });
});
