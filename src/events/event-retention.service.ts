import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { EventJournal } from './event-journal.service.js';
import { JournalReaders } from './journal-readers.service.js';

const DAY_MS = 86_400_000;

/**
 * Removes whole days of events that are older than `EVENTS_RETENTION_DAYS` from the old end of the journal.
 *
 * What a reader is not done with stays. A webhook delivery carries its event itself and needs nothing kept.
 */
@Injectable()
export class EventRetention implements OnModuleInit {
  private readonly logger = new Logger(EventRetention.name);

  constructor(
    private readonly config: Config,
    private readonly journal: EventJournal,
    private readonly readers: JournalReaders,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.register('events', () => this.removeOld(Date.now()));
  }

  /** Removes what is past retention at `now` (epoch ms). */
  async removeOld(now: number): Promise<void> {
    const midnight = Math.floor(now / DAY_MS) * DAY_MS;
    const oldestKept = new Date(midnight - this.config.EVENTS_RETENTION_DAYS * DAY_MS).toISOString();
    await this.readers.refresh();
    const removed = await this.journal.removeBefore(oldestKept, this.readers.slowestPosition);
    if (removed > 0) this.logger.log(`removed ${removed} events from before ${oldestKept}`);
  }
}
