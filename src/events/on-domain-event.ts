import { Injectable, SetMetadata, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { findDecoratedMethods } from '../common/decorated-methods.js';
import { StartError } from '../common/start-error.js';
import { eventTypes, isEventType, type EventType } from './catalogue.js';
import { EventBus, type EventHandler } from './event-bus.js';

const ON_DOMAIN_EVENT = Symbol('on domain event');

/**
 * Subscribes a method of a provider to one type of event, or with `'*'` to every type.
 *
 * The method receives the {@link DomainEvent}; the compiler checks that it accepts that type's payload.
 *
 * @example
 * ```ts
 * @OnDomainEvent('login.failed')
 * onLoginFailed({ payload }: DomainEvent<'login.failed'>) { … payload.email … }
 * ```
 */
export function OnDomainEvent<T extends EventType | '*'>(type: T) {
  type Handler = EventHandler<T extends EventType ? T : EventType>;
  // Generic over the method, so that async methods and narrower return types fit.
  return <H extends Handler>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<H>): void => {
    SetMetadata(ON_DOMAIN_EVENT, type)(target, key, descriptor);
  };
}

/** Finds the decorated methods of all providers and subscribes them, before the first event is delivered. */
@Injectable()
export class DomainEventExplorer implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly bus: EventBus,
  ) {}

  onModuleInit(): void {
    const decorator = (type: string) => `@OnDomainEvent('${type}')`;
    for (const { value, place, call } of findDecoratedMethods<string>(this.discovery, ON_DOMAIN_EVENT, decorator)) {
      if (value === '*') this.bus.subscribeAll(call);
      else if (isEventType(value)) this.bus.subscribe(value, call);
      else throw new StartError(`${place}: there is no such event. Valid names: ${eventTypes().join(', ')}, or *`);
    }
  }
}
