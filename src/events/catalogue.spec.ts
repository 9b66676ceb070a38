import { describe, expect, it } from 'vitest';
import { catalogue, EVENT_TYPES } from './catalogue.js';
import { createEvent, type DomainEvent } from './domain-event.js';
import type { EventBus } from './event-bus.js';
import { parseEventId } from './event-id.js';
import { OnDomainEvent } from './on-domain-event.js';

const userId = '0199a1b2-0000-7000-8000-000000000001';
const email = 'someone@example.com';

describe('the catalogue', () => {
  it('has the fifteen events of the specification', () => {
    expect([...EVENT_TYPES].toSorted()).toEqual(
      [
        'account.locked',
        'account.unlocked',
        'api_key.created',
        'api_key.revoked',
        'email.verified',
        'login.failed',
        'login.success',
        'logout',
        'mfa.disabled',
        'mfa.enabled',
        'password.changed',
        'password.reset',
        'user.deleted',
        'user.registered',
        'user.updated',
      ].toSorted(),
    );
  });

  it.each(EVENT_TYPES)('%s names a subject that its payload holds', (type) => {
    expect(Object.keys(catalogue[type].payload.shape)).toContain(catalogue[type].subject);
  });
});

describe('createEvent', () => {
  it('makes the envelope and finds the subject', () => {
    const now = Date.UTC(2026, 1, 16, 12);
    const { envelope, subject } = createEvent('login.success', { userId, email }, now);
    expect(envelope).toEqual({
      id: envelope.id,
      type: 'login.success',
      timestamp: '2026-02-16T12:00:00.000Z',
      payload: { userId, email },
    });
    expect(parseEventId(envelope.id)).toBeTypeOf('number');
    expect(subject).toBe(userId);
    expect(createEvent('login.failed', { email }, now).subject).toBe(email);
  });

  it('throws at run time for what the compiler refuses', () => {
    // @ts-expect-error -- not in the catalogue
    expect(() => createEvent('login.succeeded', { userId }, 0)).toThrow('not in the event catalogue');
    // @ts-expect-error -- email is missing
    expect(() => createEvent('login.success', { userId }, 0)).toThrow(/email: invalid_type/);
    // @ts-expect-error -- a field too many
    expect(() => createEvent('logout', { userId, password: 'x' }, 0)).toThrow(/unrecognized_keys/);
    expect(() => createEvent('logout', { userId: 'not a uuid' }, 0)).toThrow(/userId/);
    // @ts-expect-error -- inherited names are not events
    expect(() => createEvent('toString', {}, 0)).toThrow('not in the event catalogue');
  });
});

/** Never run: what must, and must not, compile. */
export function typeTests(bus: EventBus): void {
  void bus.publish('logout', { userId });
  // @ts-expect-error -- unknown event
  void bus.publish('user.exploded', { userId });
  // @ts-expect-error -- wrong payload
  void bus.publish('login.failed', { userId });
  // @ts-expect-error -- wrong kind of field
  void bus.publish('user.updated', { userId, fields: 'email' });

  bus.subscribe('login.failed', ({ payload }) => payload.email.length);
  // @ts-expect-error -- this payload has no userId
  bus.subscribe('login.failed', ({ payload }) => payload.userId);
  // @ts-expect-error -- unknown event
  bus.subscribe('user.exploded', () => undefined);
  bus.subscribeAll(({ type }) => type);

  class Listener {
    @OnDomainEvent('login.failed')
    sync(event: DomainEvent<'login.failed'>): string {
      return event.payload.email;
    }

    @OnDomainEvent('user.updated')
    async asynchronous({ payload }: DomainEvent<'user.updated'>): Promise<string[]> {
      return Promise.resolve(payload.fields);
    }

    @OnDomainEvent('*')
    every(_event: DomainEvent): void {}

    // @ts-expect-error -- the method wants another event's payload
    @OnDomainEvent('logout')
    wrong(_event: DomainEvent<'login.failed'>): void {}

    // @ts-expect-error -- unknown event
    @OnDomainEvent('user.exploded')
    unknown(): void {}
  }
  void Listener;
}
