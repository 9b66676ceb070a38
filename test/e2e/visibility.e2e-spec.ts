import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Authenticator } from '../../src/auth/authenticator.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventRelay } from '../../src/events/event-relay.service.js';
import { AccountAdministration } from '../../src/users/account-administration.service.js';
import { ADMIN, TestServer } from '../support/server.js';

/** Live visibility is exact: the event that changes it is the last one seen with the old, and the first with the new. */
describe('what a live connection sees around a change of role', () => {
  let server: TestServer;
  beforeAll(async () => (server = await TestServer.start()));
  afterAll(() => server.close());

  const STRANGER = 'stranger@example.com';
  const strangers = (n: number) => `${n}.${STRANGER}`;
  const publish = (n: number) => server.app.get(EventBus).publish('login.failed', { email: strangers(n) });

  /** In one unit of work: an event of a stranger, the change, and three more: nothing can come between them. */
  const changeAmidEvents = (id: string, role: 'admin' | 'user') =>
    server.app.get(UnitOfWork).run(async () => {
      await publish(1);
      await server.app.get(AccountAdministration).setRole(id, role, 'somebody');
      for (const n of [2, 3, 4]) await publish(n);
    });

  async function connect(token: string) {
    const socket = await server.subscriber(token, ['login.failed', 'user.updated']);
    const stream = await server.stream({ token, query: { events: 'login.failed,user.updated' } });
    await stream.next(({ text }) => text.startsWith('retry'));
    return { socket, stream };
  }

  const shown = (type: string, payload: unknown) => {
    const { email } = payload as { email?: string };
    return email === undefined ? type : email.slice(0, 1);
  };

  async function seen({ socket, stream }: Awaited<ReturnType<typeof connect>>, email: string): Promise<string[][]> {
    await server.app.get(EventRelay).caughtUp();
    // An event that everybody sees, so that nothing is missed by looking too early.
    await server.app.get(EventBus).publish('login.failed', { email });
    const bySocket: string[] = [];
    for (;;) {
      const { event } = (await socket.next(({ type }) => type === 'event')) as unknown as {
        event: { type: string; payload: { email?: string } };
      };
      if (event.payload.email === email) break;
      bySocket.push(shown(event.type, event.payload));
    }
    const byStream: string[] = [];
    for (;;) {
      const { event = '', data = '{}' } = await stream.next(({ id }) => id !== undefined);
      const { payload } = JSON.parse(data) as { payload: { email?: string } };
      if (payload.email === email) break;
      byStream.push(shown(event, payload));
    }
    return [bySocket, byStream];
  }

  it('holds from the beginning for who connects while its role changes', async () => {
    const { accessToken: admin } = await server.api.login(ADMIN);
    const user = await server.api.register();
    const authenticator = server.app.get(Authenticator);
    const look = authenticator.authenticate.bind(authenticator);
    for (const transport of ['socket', 'stream'] as const) {
      await server.api.patch(`/admin/users/${user.id}/role`, { role: 'admin' }, admin);
      // Demoted after its token was looked at, and delivered before it is connected.
      const spy = vi.spyOn(authenticator, 'authenticate').mockImplementationOnce(async (token) => {
        const principal = await look(token);
        await server.app.get(AccountAdministration).setRole(user.id, 'user', 'somebody');
        await server.app.get(EventRelay).caughtUp();
        return principal;
      });
      if (transport === 'socket') {
        const socket = await server.subscriber(user.accessToken);
        await publish(1);
        await server.app.get(EventBus).publish('logout', { userId: user.id });
        await socket.nextEvent('logout');
        expect(socket.events).toEqual(['logout']);
      } else {
        const stream = await server.stream({ token: user.accessToken });
        await stream.next();
        await publish(1);
        await server.app.get(EventBus).publish('logout', { userId: user.id });
        await stream.nextEvent('logout');
        expect(stream.received.filter(({ id }) => id !== undefined).map(({ event }) => event)).toEqual(['logout']);
      }
      spy.mockRestore();
    }
  });

  it('a demoted admin sees nothing of others any more', async () => {
    const account = { email: 'deputy@example.com', password: 'Deputy-horse-1' };
    const admin = await server.api.login(ADMIN);
    const { body } = await server.api.post('/admin/users', { ...account, role: 'admin' }, admin.accessToken);
    const clients = await connect((await server.api.login(account)).accessToken);
    await changeAmidEvents(body.data.id as string, 'user');
    expect(await seen(clients, account.email)).toEqual([
      ['1', 'user.updated'],
      ['1', 'user.updated'],
    ]);
  });

  it('a new admin sees everything from then on, without gap or repeat', async () => {
    const user = await server.api.register();
    const clients = await connect(user.accessToken);
    await changeAmidEvents(user.id, 'admin');
    expect(await seen(clients, user.email)).toEqual([
      ['user.updated', '2', '3', '4'],
      ['user.updated', '2', '3', '4'],
    ]);
  });

  it('a subscription made meanwhile begins where it was made', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken, ['user.updated']);
    const change = changeAmidEvents(user.id, 'admin');
    socket.send({ type: 'subscribe', events: ['login.failed'] });
    await change;
    await socket.next(({ type }) => type === 'subscribed');
    await server.app.get(EventRelay).caughtUp();
    await publish(5);
    const { event } = await socket.next(
      (message) => message.type === 'event' && shown('', (message['event'] as { payload: object }).payload) === '5',
    );
    expect(event).toMatchObject({ type: 'login.failed' });
    // Which of the ones before it saw depends on the moment; none came twice.
    const ids = socket.received.flatMap((message) =>
      message.type === 'event' ? [(message['event'] as { id: string }).id] : [],
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});
