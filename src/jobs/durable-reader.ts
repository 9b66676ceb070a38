import { SetMetadata } from '@nestjs/common';
import type { EventType } from '../events/catalogue.js';
import type { DomainEvent } from '../events/domain-event.js';
import type { JobContext, JobTypeOptions } from './job-types.js';

/** Metadata key under which {@link DurableReader} marks a method. */
export const DURABLE_READER = Symbol('durable reader');

/** What a durable reader reads, and how its jobs are run. */
export interface DurableReaderOptions<T extends string> {
  /** Its name for ever: its place in the journal and its jobs, of type `reader.<name>`, hang on it. */
  name: string;
  /** Exact types, or `'*'` for every one. */
  events: readonly T[];
  /** How its jobs are run. */
  job?: JobTypeOptions;
}

type Named<T> = T extends EventType ? T : EventType;
type ReaderMethod<T> = (event: DomainEvent<Named<T>>, job: JobContext) => unknown;

/**
 * Hands a method every event of some types through a job of its own: retried until it succeeds, dead in the open when
 * it never does, and never lost to a crash. For what may be missed, `@OnDomainEvent` is quicker.
 *
 * @example
 * ```ts
 * @DurableReader({ name: 'crm', events: ['user.registered'] })
 * async onRegistered({ payload }: DomainEvent<'user.registered'>, job: JobContext) { … }
 * ```
 */
export function DurableReader<const T extends EventType | '*'>(options: DurableReaderOptions<T>) {
  // Generic over the method, so that async methods and narrower return types fit.
  return <H extends ReaderMethod<T>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<H>,
  ): void => {
    SetMetadata(DURABLE_READER, options)(target, key, descriptor);
  };
}
