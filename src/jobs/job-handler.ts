import { SetMetadata } from '@nestjs/common';
import type { JobContext, JobType, JobTypes } from './job-types.js';

/** Metadata key under which {@link JobHandler} marks a method. */
export const JOB_HANDLER = Symbol('job handler');
/** Metadata key under which {@link OnDeadJob} marks a method. */
export const ON_DEAD_JOB = Symbol('on dead job');

type Method<Args extends unknown[]> = (...args: Args) => unknown;
type MethodDecoratorFor<Args extends unknown[]> = <H extends Method<Args>>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/**
 * Makes a method of a provider the handler of one type of job; the compiler checks that it accepts that type's payload.
 *
 * A job is done when the method resolves. It may run twice after a crash, so it should be safe to repeat; it should
 * give up when `job.signal` aborts. What it throws is a failed attempt, an {@link UnrecoverableJobError} the last one.
 *
 * @example
 * ```ts
 * @JobHandler('mail.send')
 * async send(payload: JobTypes['mail.send'], job: JobContext) { … }
 * ```
 */
export function JobHandler<T extends JobType>(type: T): MethodDecoratorFor<[payload: JobTypes[T], job: JobContext]> {
  return (target, key, descriptor) => void SetMetadata(JOB_HANDLER, type)(target, key, descriptor);
}

/**
 * Calls a method when a job of the type is dead or was discarded, in the unit of work that writes this, so that what
 * hangs on the job can follow it. It must not await anything but the database.
 */
export function OnDeadJob<T extends JobType>(type: T): MethodDecoratorFor<[payload: JobTypes[T], reason: string]> {
  return (target, key, descriptor) => void SetMetadata(ON_DEAD_JOB, type)(target, key, descriptor);
}
