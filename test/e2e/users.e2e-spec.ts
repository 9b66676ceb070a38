import { hash } from '@node-rs/argon2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { User } from '../../src/users/user.entity.js';
import { UsersService } from '../../src/users/users.service.js';
import { TestServer } from '../support/server.js';

const NEW_PASSWORD = 'Another-horse-2';

describe('/users/me', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.close());

  const me = (token: string) => server.api.get('/users/me', token);

  it('PATCH email needs no password, resets emailVerified, and moves the login', async () => {
    const user = await server.api.register();
    const email = `moved-${user.email}`;
    const answer = await server.api.patch('/users/me', { email: email.toUpperCase() }, user.accessToken);
    expect(answer.status).toBe(200);
    expect(answer.body.data).toMatchObject({ id: user.id, email, emailVerified: false });
    expect((await server.api.post('/auth/login', { ...user, email: user.email })).status).toBe(422);
    expect((await server.api.post('/auth/login', { email: user.email, password: user.password })).status).toBe(401);
    await server.api.login({ email, password: user.password });
  });

  it('PATCH email to a taken address answers 409, to the own one changes nothing', async () => {
    const [user, other] = [await server.api.register(), await server.api.register()];
    expect((await server.api.patch('/users/me', { email: other.email }, user.accessToken)).status).toBe(409);
    const socket = await server.subscriber(user.accessToken);
    const same = await server.api.patch('/users/me', { email: user.email }, user.accessToken);
    expect(same.status).toBe(200);
    await socket.settle();
    expect(socket.events).toEqual([]);
  });

  it('PATCH password publishes password.changed alone, keeps the acting session, and ends every other', async () => {
    const user = await server.api.register();
    const other = await server.api.login(user);
    const [mine, theirs] = [await server.subscriber(user.accessToken), await server.subscriber(other.accessToken)];
    const body = { password: NEW_PASSWORD, currentPassword: user.password };
    expect((await server.api.patch('/users/me', body, user.accessToken)).status).toBe(200);

    expect((await me(other.accessToken)).status).toBe(401);
    expect((await server.api.post('/auth/refresh', { refreshToken: other.refreshToken })).status).toBe(401);
    expect((await me(user.accessToken)).status).toBe(200);
    expect((await server.api.post('/auth/refresh', { refreshToken: user.refreshToken })).status).toBe(200);

    await theirs.nextEvent('password.changed');
    expect(await theirs.closed).toMatchObject({ code: 4403 });
    await mine.nextEvent('password.changed');
    await mine.settle();
    expect(mine.events).toEqual(['password.changed']);

    expect((await server.api.post('/auth/login', { email: user.email, password: user.password })).status).toBe(401);
    await server.api.login({ email: user.email, password: NEW_PASSWORD });
  });

  it('PATCH password without the current one is 422, with a wrong one 401, against the policy 400', async () => {
    const user = await server.api.register();
    const patch = (body: object) => server.api.patch('/users/me', body, user.accessToken);
    const missing = await patch({ password: NEW_PASSWORD });
    expect(missing.status).toBe(422);
    expect(missing.body.error.details).toMatchObject([{ field: 'currentPassword' }]);
    expect((await patch({ password: NEW_PASSWORD, currentPassword: 'wrong' })).status).toBe(401);
    expect((await patch({ password: 'weak', currentPassword: user.password })).status).toBe(400);
    expect((await me(user.accessToken)).status).toBe(200);
  });

  it('PATCH email and password together is one act: both, or neither', async () => {
    const [user, other] = [await server.api.register(), await server.api.register()];
    const socket = await server.subscriber(user.accessToken);
    const body = { password: NEW_PASSWORD, currentPassword: user.password };
    const taken = await server.api.patch('/users/me', { ...body, email: other.email }, user.accessToken);
    expect(taken.status).toBe(409);
    await server.api.login(user);
    await socket.nextEvent('login.success');
    expect((await server.api.patch('/users/me', { ...body, email: `x${user.email}` }, user.accessToken)).status).toBe(
      200,
    );
    await socket.nextEvent('user.updated');
    expect(socket.events).toEqual(['login.success', 'password.changed', 'user.updated']);
  });

  it.each([[{}], [{ currentPassword: 'x' }], [{ email: null }], [{ role: 'admin' }], [{ emailVerified: true }], [[]]])(
    'PATCH %j is 422',
    async (body) => {
      const user = await server.api.register();
      const answer = await server.api.patch('/users/me', body, user.accessToken);
      expect(answer.status).toBe(422);
      expect(answer.body.error).toMatchObject({ code: 'VALIDATION', details: expect.any(Array) });
      expect((await me(user.accessToken)).body.data).toMatchObject({ role: 'user', emailVerified: false });
    },
  );

  it('DELETE removes the account: the event first, then the close; tokens and login are dead, the address is free', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    const stream = await server.stream({ token: user.accessToken });
    expect((await server.api.delete('/users/me', user.accessToken)).status).toBe(204);
    await socket.nextEvent('user.deleted');
    expect(await socket.closed).toMatchObject({ code: 4403 });
    await stream.nextEvent('user.deleted');
    expect((await stream.next()).text).toBe('event: stream.end\ndata: {"reason":"revoked","reconnect":false}');
    await stream.ended;
    expect((await me(user.accessToken)).status).toBe(401);
    expect((await server.api.delete('/users/me', user.accessToken)).status).toBe(401);
    expect((await server.api.post('/auth/refresh', { refreshToken: user.refreshToken })).status).toBe(401);
    expect((await server.api.post('/auth/login', { email: user.email, password: user.password })).status).toBe(401);
    await server.api.register(user.password, user.email);
  });

  it('of several password changes at once exactly one wins', async () => {
    const user = await server.api.register();
    const passwords = Array.from({ length: 5 }, (_, n) => `Another-horse-${n}`);
    const answers = await Promise.all(
      passwords.map((password) =>
        server.api.patch('/users/me', { password, currentPassword: user.password }, user.accessToken),
      ),
    );
    const winners = passwords.filter((_, n) => answers[n]?.status === 200);
    expect(winners).toHaveLength(1);
    await server.api.login({ email: user.email, password: String(winners[0]) });
  });

  it('twenty deletions at once are one deletion', async () => {
    const user = await server.api.register();
    const admin = await server.api.login({ email: 'admin@example.com', password: 'Admin-password-1' });
    const watch = await server.subscriber(admin.accessToken, ['user.deleted']);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => server.api.delete('/users/me', user.accessToken)),
    );
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
    expect(answers.every(({ status }) => [204, 401, 404].includes(status))).toBe(true);
    await watch.nextEvent('user.deleted');
    await watch.settle();
    expect(watch.events).toHaveLength(1);
  });
});

describe('new passwords', () => {
  it('are none of the last ones, as many as the configuration says, and none that everybody tries', async () => {
    const server = await TestServer.start({ PASSWORD_HISTORY: '3' });
    const user = await server.api.register('Correct-horse-1');
    let currentPassword = user.password;
    const change = async (password: string): Promise<[number, string | undefined]> => {
      const { status, body } = await server.api.patch('/users/me', { password, currentPassword }, user.accessToken);
      if (status === 200) currentPassword = password;
      return [status, body.error?.details[0].code as string | undefined];
    };
    expect(await change('Password1')).toEqual([400, 'PASSWORD_COMMON']);
    expect(await change('Correct-horse-1')).toEqual([400, 'PASSWORD_REUSED']);
    expect(await change('Correct-horse-2')).toEqual([200, undefined]);
    expect(await change('Correct-horse-3')).toEqual([200, undefined]);
    for (const n of [1, 2, 3]) expect(await change(`Correct-horse-${n}`)).toEqual([400, 'PASSWORD_REUSED']);
    // With the fourth one the first is no longer among the last three.
    expect(await change('Correct-horse-4')).toEqual([200, undefined]);
    expect(await change('Correct-horse-1')).toEqual([200, undefined]);
    await server.close();
  });

  it('are taken as they were sent: to the last of 128 characters, with blanks and case', async () => {
    const server = await TestServer.start({ LOCKOUT_MAX_ATTEMPTS: '0' });
    for (const password of [`Aa1 ${'x'.repeat(60)}`, `Aa1 ${'é'.repeat(124)}`, '  Blanks around 1  ']) {
      const user = await server.api.register(password);
      const status = async (tried: string) =>
        (await server.api.post('/auth/login', { email: user.email, password: tried })).status;
      const others = [password.slice(0, -1), password.toLowerCase(), `${password} `, ` ${password}`];
      for (const other of others) expect([other, await status(other)]).toEqual([other, 401]);
      expect(await status(password)).toBe(200);
    }
    await server.close();
  });

  it('are hashed anew with the next login when the parameters have changed', async () => {
    const server = await TestServer.start();
    const user = await server.api.register();
    const outdated = await hash(user.password, { memoryCost: 8192, timeCost: 1, parallelism: 1 });
    const units = server.app.get(UnitOfWork);
    await units.run((tx) => tx.update(User, { id: user.id }, { passwordHash: outdated }));
    const stored = async () => (await server.app.get(UsersService).findByIdWithPassword(user.id))?.passwordHash;
    await server.api.post('/auth/login', { email: user.email, password: 'Wrong-horse-1' });
    expect(await stored()).toBe(outdated);
    await server.api.login(user);
    const fresh = await stored();
    expect(fresh).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    await server.api.login(user);
    expect(await stored()).toBe(fresh);
    await server.close();
  });

  it('need no more than the switches say', async () => {
    const off = { PASSWORD_REQUIRE_LOWER: 'false', PASSWORD_REQUIRE_UPPER: 'false', PASSWORD_REQUIRE_DIGIT: 'false' };
    const server = await TestServer.start(off);
    await server.api.register('~~~~~~~~~~');
    await server.close();
  });
});
