import { Injectable, Module, Scope, type Type } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import type { DomainEvent } from '../../src/events/domain-event.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventCursor } from '../../src/events/event-cursor.entity.js';
import { EventRelay } from '../../src/events/event-relay.service.js';
import { OnDomainEvent } from '../../src/events/on-domain-event.js';
import { TestServer } from '../support/server.js';

const failures: string[] = [];
const everything: DomainEvent[] = [];

@Injectable()
class Listener {
  constructor(private readonly bus: EventBus) {}

  @OnDomainEvent('login.failed')
  onLoginFailed({ payload }: DomainEvent<'login.failed'>): void {
    failures.push(payload.email);
    throw new Error('a listener that fails harms nobody');
  }

  @OnDomainEvent('*')
  async onAny(event: DomainEvent): Promise<void> {
    everything.push(event);
    // A reaction that publishes: its event belongs to nobody's request.
    if (event.type === 'login.failed') await this.bus.publish('account.unlocked', { email: event.payload.email });
  }
}

@Module({ providers: [Listener] })
class ListenerModule {}

describe('a team’s own handlers', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({}, [ListenerModule]);
  });
  afterAll(() => server.close());

  it('are called by type and for every event, after the commit and in order', async () => {
    const user = await server.api.register();
    const socket = await server.subscriber(user.accessToken);
    await server.api.post('/auth/login', { email: user.email, password: 'x' });
    await socket.nextEvent('account.unlocked');
    expect(failures).toEqual([user.email]);
    const mine = everything.filter(({ subject }) => [user.id, user.email].includes(subject));
    expect(mine.map(({ type }) => type)).toEqual(['user.registered', 'login.failed', 'account.unlocked']);
    expect(mine.map(({ origin }) => origin.ip)).toEqual(['127.0.0.1', '127.0.0.1', null]);
    const seqs = everything.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  });

  it('are given at the next start what a crash kept from them, and nothing they had before', async () => {
    await server.app.get(EventRelay).caughtUp();
    await server.app.close();
    const seen = everything.map(({ id }) => id);
    await server.restartAfter(async (app) => {
      // What a crash leaves: a position that is two events behind the journal.
      await app.get(UnitOfWork).run((tx) => tx.decrement(EventCursor, { reader: 'live' }, 'seq', 2));
    });
    const again = everything.slice(seen.length, seen.length + 2);
    expect(again.map(({ id }) => id)).toEqual(seen.slice(-2));
  });
});

describe('a handler that cannot work stops the start and says why', () => {
  const startWith = (module: Type) => TestServer.start({}, [module]).then((server) => server.close());

  it('for an event that does not exist', async () => {
    @Injectable()
    class Wrong {
      // @ts-expect-error -- the compiler says so too
      @OnDomainEvent('login.exploded')
      onIt(): void {}
    }
    @Module({ providers: [Wrong] })
    class WrongModule {}
    await expect(startWith(WrongModule)).rejects.toThrow(/Wrong\.onIt: there is no such event.*login\.failed/);
  });

  it('on a provider that exists once per request', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Scoped {
      @OnDomainEvent('logout')
      onIt(): void {}
    }
    @Module({ providers: [Scoped] })
    class ScopedModule {}
    await expect(startWith(ScopedModule)).rejects.toThrow(/Scoped\.onIt: the provider is request-scoped/);
  });
});
