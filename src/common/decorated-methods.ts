import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { StartError } from './start-error.js';

/** A method that carries a decorator. */
export interface DecoratedMethod<T> {
  /** What the decorator was given. */
  value: T;
  /** Decorator, class and method, for a message that is the cure. */
  place: string;
  /** Calls the method on its provider. */
  call: (...args: unknown[]) => unknown;
}

/**
 * Finds the methods of all providers that carry a decorator's metadata.
 *
 * @param decorator - builds the decorator as its user wrote it, for messages.
 * @throws StartError for a method of a request-scoped provider, which no event or job could ever reach.
 */
export function findDecoratedMethods<T>(
  discovery: DiscoveryService,
  key: symbol,
  decorator: (value: T) => string,
): DecoratedMethod<T>[] {
  const scanner = new MetadataScanner();
  const reflector = new Reflector();
  const found: DecoratedMethod<T>[] = [];
  for (const wrapper of discovery.getProviders()) {
    const instance = wrapper.instance as Record<string, unknown> | null | undefined;
    if (!instance || typeof instance !== 'object') continue;
    const prototype = Object.getPrototypeOf(instance) as object | null;
    for (const name of prototype ? scanner.getAllMethodNames(prototype) : []) {
      const method = instance[name];
      if (typeof method !== 'function') continue;
      const value = reflector.get<T | undefined>(key, method);
      if (value === undefined) continue;
      const place = `${decorator(value)} on ${instance.constructor.name}.${name}`;
      if (!wrapper.isDependencyTreeStatic()) {
        throw new StartError(`${place}: the provider is request-scoped; make it a singleton.`);
      }
      found.push({ value, place, call: (...args) => Reflect.apply(method, instance, args) as unknown });
    }
  }
  return found;
}
