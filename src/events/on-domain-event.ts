import { Injectable, SetMetadata, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { EVENT_TYPES, isEventType, type EventType } from './catalogue.js';
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
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
    private readonly bus: EventBus,
  ) {}

  onModuleInit(): void {
    for (const wrapper of this.discovery.getProviders()) {
      const instance = wrapper.instance as Record<string, unknown> | null | undefined;
      if (!instance || typeof instance !== 'object') continue;
      const prototype = Object.getPrototypeOf(instance) as object | null;
      for (const name of prototype ? this.scanner.getAllMethodNames(prototype) : []) {
        const method = instance[name];
        const type = typeof method === 'function' && this.reflector.get<string | undefined>(ON_DOMAIN_EVENT, method);
        if (typeof type !== 'string' || typeof method !== 'function') continue;
        const place = `@OnDomainEvent('${type}') on ${instance.constructor.name}.${name}`;
        if (!wrapper.isDependencyTreeStatic())
          throw new Error(`${place}: the provider is request-scoped; make it a singleton.`);
        this.subscribe(type, place, (event) => Reflect.apply(method, instance, [event]) as unknown);
      }
    }
  }

  private subscribe(type: string, place: string, handler: EventHandler): void {
    if (type === '*') this.bus.subscribeAll(handler);
    else if (isEventType(type)) this.bus.subscribe(type, handler);
    else throw new Error(`${place}: there is no such event. Valid names: ${EVENT_TYPES.join(', ')}, or *`);
  }
}
