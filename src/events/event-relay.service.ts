import { Injectable, type BeforeApplicationShutdown, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { EventBus } from './event-bus.js';
import type { JournalReader } from './journal-reader.js';
import { JournalReaders } from './journal-readers.service.js';

/** Carries committed events from the journal to the live subscribers, strictly by `seq`, from where it stopped: in every instance. */
@Injectable()
export class EventRelay implements OnModuleInit, OnModuleDestroy, BeforeApplicationShutdown {
  private readonly reader: JournalReader;

  constructor(bus: EventBus, readers: JournalReaders) {
    this.reader = readers.create({
      name: 'live',
      isOfAll: true,
      handle(events, reader) {
        for (const event of events) {
          bus.deliver(event);
          reader.advance(event.seq);
        }
      },
    });
  }

  /** The `seq` of the last event delivered to the live subscribers. */
  get position(): number {
    return this.reader.position;
  }

  async onModuleInit(): Promise<void> {
    await this.reader.load();
  }

  /**
   * Starts delivering, beginning with what a crash left undelivered.
   *
   * Called once every subscriber is in place, which Nest's own hooks cannot promise: a module may subscribe in any of them.
   */
  async start(): Promise<void> {
    await this.reader.start();
  }

  /** Resolves once everything committed before the call has been delivered. */
  async caughtUp(): Promise<void> {
    await this.reader.caughtUp();
  }

  async onModuleDestroy(): Promise<void> {
    await this.caughtUp();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.reader.stop();
  }
}
