import { AsyncResource } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import { Injectable, Logger, type BeforeApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from './event-bus.js';
import { EventCursor } from './event-cursor.entity.js';
import { EventJournal } from './event-journal.service.js';

const READER = 'live';
const PAGE = 500;
const RETRY_MS = 1000;
const SAVE_AFTER_MS = 1000;

/**
 * Carries committed events from the journal to the live subscribers, strictly by `seq`, from where it stopped.
 *
 * A commit wakes it; it then reads until nothing is left. Its position is saved at most once a second, so after a
 * crash the events of the last second are delivered again rather than not at all.
 */
@Injectable()
export class EventRelay implements OnModuleDestroy, BeforeApplicationShutdown {
  private readonly logger = new Logger(EventRelay.name);
  // The relay serves everybody: it must not inherit the context of the request whose commit happened to wake it.
  private readonly context = new AsyncResource('EventRelay');
  private state: 'new' | 'running' | 'stopped' = 'new';
  private delivered = 0;
  private saved = 0;
  private awake = false;
  private again = false;
  private pass: Promise<void> = Promise.resolve();
  private retryTimer: NodeJS.Timeout | undefined;
  private saveTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly bus: EventBus,
    private readonly journal: EventJournal,
    @InjectRepository(EventCursor) private readonly cursors: Repository<EventCursor>,
    private readonly unitOfWork: UnitOfWork,
  ) {
    journal.onAppended(() => this.wake());
  }

  /** The `seq` of the last event delivered to the live subscribers. */
  get position(): number {
    return this.delivered;
  }

  /**
   * Starts delivering, beginning with what a crash left undelivered.
   *
   * Called once every subscriber is in place, which Nest's own hooks cannot promise: a module may subscribe in any of them.
   */
  async start(): Promise<void> {
    const cursor = await this.cursors.findOneBy({ reader: READER });
    this.delivered = this.saved = cursor?.seq ?? 0;
    this.state = 'running';
    this.wake();
    await this.pass;
  }

  /** Resolves once everything committed before the call has been delivered. */
  async caughtUp(): Promise<void> {
    this.wake();
    await this.pass;
  }

  async onModuleDestroy(): Promise<void> {
    await this.caughtUp();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.state = 'stopped';
    clearTimeout(this.retryTimer);
    clearTimeout(this.saveTimer);
    await this.pass;
    await this.save();
  }

  private wake(): void {
    if (this.state !== 'running') return;
    if (this.awake) {
      // The pass that is under way may be past the read that would have seen the new commit.
      this.again = true;
      return;
    }
    this.awake = true;
    this.pass = this.context.runInAsyncScope(() => this.deliverAll());
  }

  private async deliverAll(): Promise<void> {
    try {
      do {
        this.again = false;
        const events = await this.journal.read({ afterSeq: this.delivered, limit: PAGE });
        for (const event of events) {
          this.bus.deliver(event);
          this.delivered = event.seq;
        }
        if (events.length === PAGE) {
          this.again = true;
          // A long backlog must not keep requests waiting.
          await setImmediate();
        }
      } while (this.again && this.state === 'running');
      this.scheduleSave();
    } catch (error) {
      this.logger.error({ msg: `the journal could not be read; trying again in ${RETRY_MS} ms`, err: error });
      this.retryTimer = setTimeout(() => this.wake(), RETRY_MS);
    } finally {
      this.awake = false;
    }
  }

  private scheduleSave(): void {
    if (this.saveTimer || this.delivered === this.saved || this.state !== 'running') return;
    this.saveTimer = setTimeout(() => {
      this.saveTimer = undefined;
      this.save().catch((error: unknown) => this.logger.error({ msg: 'the position was not saved', err: error }));
    }, SAVE_AFTER_MS);
    this.saveTimer.unref();
  }

  private async save(): Promise<void> {
    const seq = this.delivered;
    if (seq === this.saved) return;
    await this.unitOfWork.run((tx) => tx.upsert(EventCursor, { reader: READER, seq }, ['reader']));
    this.saved = seq;
  }
}
