import { describe, expect, expectTypeOf, it } from 'vitest';
import { EVENT_TYPES, type EventPayload } from '../events/catalogue.js';
import { matchesFilter } from '../events/event-filter.js';
import {
  matches,
  type EventFilter,
  type EventOf,
  type EventType,
  type HeraldEvent,
  type HeraldEvents,
} from './events.js';

/** Herald's own; those of extensions are added here as they are there. */
type CatalogueType = (typeof EVENT_TYPES)[number];

describe('the events of the client', () => {
  it('are those of the catalogue, with the same payloads', () => {
    expectTypeOf<EventType>().toEqualTypeOf<CatalogueType>();
    expectTypeOf<HeraldEvents>().toEqualTypeOf<{ [T in CatalogueType]: EventPayload<T> }>();
  });

  it('are chosen as the service chooses them', () => {
    const filters = ['*', 'login.*', 'log.*', 'login.failed', 'logout', '.*', 'login', ...EVENT_TYPES];
    for (const filter of filters)
      for (const type of EVENT_TYPES)
        expect([filter, type, matches(filter, type)]).toEqual([filter, type, matchesFilter(filter, type)]);
  });

  it('have a type for each filter', () => {
    expectTypeOf<EventOf<'login.failed'>>().toEqualTypeOf<HeraldEvent<'login.failed'>>();
    expectTypeOf<EventOf<'login.*'>>().toEqualTypeOf<HeraldEvent<'login.failed' | 'login.success'>>();
    expectTypeOf<EventOf<'*'>>().toEqualTypeOf<HeraldEvent>();
    expectTypeOf<'api_key.*'>().toExtend<EventFilter>();
    expectTypeOf<'logout.*'>().not.toExtend<EventFilter>();
    expectTypeOf<'login.exploded'>().not.toExtend<EventFilter>();
  });
});
