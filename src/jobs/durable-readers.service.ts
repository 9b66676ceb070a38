import { Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { EntityManager } from 'typeorm';
import { findDecoratedMethods } from '../common/decorated-methods.js';
import { StartError } from '../common/start-error.js';
import { Instances } from '../database/instances.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import type { DomainEvent } from '../events/domain-event.js';
import { checkFilters, typesOf } from '../events/event-filter.js';
import type { JournalReader } from '../events/journal-reader.js';
import { JournalReaders } from '../events/journal-readers.service.js';
import { DURABLE_READER, type DurableReaderOptions } from './durable-reader.js';
import { JobQueue } from './job-queue.service.js';
import { JobRegistry } from './job-registry.service.js';

type Awaitable<T> = T | Promise<T>;

/**
 * The readers of the journal whose work must happen.
 *
 * Each has its own cursor, which commits together with what it writes: no event is skipped and none is taken twice, also
 * after a crash.
 */
@Injectable()
export class DurableReaders implements OnModuleInit, BeforeApplicationShutdown {
  private readonly readers: JournalReader[] = [];
  /** The readers that leave a job for each event. */
  readonly withJobs: { reader: JournalReader; type: string }[] = [];

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly journalReaders: JournalReaders,
    private readonly unitOfWork: UnitOfWork,
    private readonly instances: Instances,
    private readonly registry: JobRegistry,
    private readonly queue: JobQueue,
  ) {}

  async onModuleInit(): Promise<void> {
    type Options = DurableReaderOptions<string>;
    const decorator = ({ name }: Options) => `@DurableReader({ name: '${name}' })`;
    for (const { value, place, call } of findDecoratedMethods<Options>(this.discovery, DURABLE_READER, decorator)) {
      const { name, events, job = {} } = value;
      const type = `reader.${name}`;
      if (this.registry.find(type)) throw new StartError(`${place}: another reader has that name. Choose another one.`);
      this.registry.register(type, job, call);
      const submit = async (page: readonly DomainEvent[]) => {
        const jobs = page.map((payload) => ({ payload, options: { eventId: payload.id } }));
        await this.queue.submitUnchecked(type, jobs);
      };
      const reader = await this.add(name, typesOf(checkFilters(events)), (page) => () => submit(page));
      this.withJobs.push({ reader, type });
    }
  }

  /**
   * Adds a reader that writes something of its own for each event.
   *
   * @param types - exact types; undefined for all.
   * @param plan - returns what to write for a page of events, or undefined where there is nothing; that then runs in the
   * unit of work that moves the cursor. What either throws is tried again a second later.
   */
  async add(
    name: string,
    types: readonly string[] | undefined,
    plan: (events: readonly DomainEvent[]) => Awaitable<((tx: EntityManager) => Promise<void>) | undefined>,
  ): Promise<JournalReader> {
    const reader = this.journalReaders.create({
      name,
      types,
      handle: async (events, self) => {
        const last = events.at(-1)?.seq ?? 0;
        const write = await plan(events);
        if (write) {
          await this.unitOfWork.run(async (tx) => {
            await write(tx);
            await self.savePosition(last);
          });
        }
        self.advance(last);
      },
    });
    await reader.load();
    this.readers.push(reader);
    return reader;
  }

  /** Starts reading, beginning with what a crash left; each reader in one instance. Called once every handler is in place. */
  async start(): Promise<void> {
    await Promise.all(
      this.readers.map((reader) =>
        this.instances.share(`reader ${reader.name}`, {
          begin: () => reader.takeOver(),
          end: () => reader.giveUp(),
        }),
      ),
    );
  }

  /** Resolves once every reader is done with everything committed before the call. */
  async caughtUp(): Promise<void> {
    await Promise.all(this.readers.map((reader) => reader.caughtUp()));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.readers.map((reader) => reader.stop()));
  }
}
