import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { findDecoratedMethods, type DecoratedMethod } from '../common/decorated-methods.js';
import { StartError } from '../common/start-error.js';
import { Config } from '../config/config.js';
import { JOB_HANDLER, ON_DEAD_JOB } from './job-handler.js';
import type { JobContext, JobTypeOptions, JobTypes } from './job-types.js';

/** The longest time that a timer of Node's can hold: about 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Options, or how to make them from the configuration. */
export type JobTypeDeclaration = JobTypeOptions | ((config: Config) => JobTypeOptions);

/** What a module declares: its job types and how they are run. */
export class JobDeclarations {
  constructor(readonly types: { readonly [T in keyof JobTypes]?: JobTypeDeclaration }) {}
}

/** A job type as the worker runs it. */
export interface RegisteredJobType {
  readonly name: string;
  readonly options: Required<Omit<JobTypeOptions, 'groupConcurrency'>> & { groupConcurrency: number };
  readonly handle: (payload: unknown, job: JobContext) => unknown;
  /** Called in the unit of work that writes that a job is dead or discarded. */
  readonly onDead?: (payload: unknown, reason: string) => unknown;
}

/**
 * Knows every job type: what the modules declare, and the one method that handles it.
 *
 * Checked at start: a type without a handler, with two of them, or a handler without a declared type stops it.
 */
@Injectable()
export class JobRegistry implements OnModuleInit {
  private readonly types = new Map<string, RegisteredJobType>();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    const declared = this.findDeclarations();
    const handlers = this.findMethods(JOB_HANDLER, '@JobHandler', declared);
    const endings = this.findMethods(ON_DEAD_JOB, '@OnDeadJob', declared);
    for (const [type, options] of declared) {
      const handler = handlers.get(type);
      if (!handler) {
        throw new StartError(
          `The job type "${type}" has no handler: put @JobHandler('${type}') on a method of a provider.`,
        );
      }
      const onDead = endings.get(type)?.call;
      this.register(type, typeof options === 'function' ? options(this.config) : options, handler.call, onDead);
    }
  }

  private findDeclarations(): Map<string, JobTypeDeclaration> {
    const declared = new Map<string, JobTypeDeclaration>();
    for (const { instance } of this.discovery.getProviders()) {
      if (!(instance instanceof JobDeclarations)) continue;
      for (const [type, options] of Object.entries<JobTypeDeclaration>(instance.types)) {
        if (declared.has(type)) throw new StartError(`The job type "${type}" is declared twice: rename one of them.`);
        declared.set(type, options);
      }
    }
    return declared;
  }

  private findMethods(key: symbol, decorator: string, declared: ReadonlyMap<string, unknown>) {
    const methods = new Map<string, DecoratedMethod<string>>();
    for (const method of findDecoratedMethods<string>(this.discovery, key, (type) => `${decorator}('${type}')`)) {
      const { value: type, place } = method;
      if (!declared.has(type)) {
        throw new StartError(
          `${place}: no module declares this job type. Import JobsModule.forFeature({ '${type}': {} }).`,
        );
      }
      const first = methods.get(type);
      if (first) throw new StartError(`${first.place} and ${place}: only one of them can be. Remove the other.`);
      methods.set(type, method);
    }
    return methods;
  }

  /** Adds a type whose handler is known already. */
  register(
    name: string,
    options: JobTypeOptions,
    handle: RegisteredJobType['handle'],
    onDead?: RegisteredJobType['onDead'],
  ): void {
    const complete = {
      maxAttempts: 10,
      backoff: {},
      timeoutMs: 30_000,
      priority: 0,
      maxCrashes: 5,
      concurrency: this.config.JOBS_CONCURRENCY,
      groupConcurrency: Number.POSITIVE_INFINITY,
      ...options,
    };
    for (const option of ['maxAttempts', 'timeoutMs', 'maxCrashes', 'concurrency', 'groupConcurrency'] as const) {
      const most = option === 'timeoutMs' ? MAX_TIMER_MS : Number.POSITIVE_INFINITY;
      if (complete[option] >= 1 && complete[option] <= most) continue;
      throw new StartError(`The job type "${name}" has ${option} ${complete[option]}: choose one from 1 to ${most}.`);
    }
    this.types.set(name, { name, handle, ...(onDead && { onDead }), options: complete });
  }

  /** Every type there is. */
  all(): RegisteredJobType[] {
    return [...this.types.values()];
  }

  find(type: string): RegisteredJobType | undefined {
    return this.types.get(type);
  }
}
