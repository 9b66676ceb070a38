import { setImmediate } from 'node:timers/promises';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { lowestIdAt } from '../common/time-ids.js';
import { Config } from '../config/config.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { EventJournal } from '../events/event-journal.service.js';
import { Reconciliation } from '../events/reconciliation.service.js';
import { DurableReaders } from './durable-readers.service.js';
import { JobStore } from './job-store.service.js';

const PAGE = 500;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Checks that every event has the jobs of its durable readers, and every job its event. */
@Injectable()
export class JobReconciliation implements OnModuleInit {
  constructor(
    private readonly config: Config,
    private readonly reconciliation: Reconciliation,
    private readonly journal: EventJournal,
    private readonly trail: AuditTrail,
    private readonly readers: DurableReaders,
    private readonly store: JobStore,
  ) {}

  onModuleInit(): void {
    // Jobs that are kept in memory go with every process: what is missing then says nothing.
    if (this.config.JOBS_STORE === 'memory') return;
    this.reconciliation.add('events_without_jobs', () => this.countEventsWithoutJobs(Date.now()));
    this.reconciliation.add('jobs_without_events', () => this.countJobsWithoutEvents());
  }

  /** Events that a durable reader is done with, and that left no job; as far back as completed jobs are kept. */
  private async countEventsWithoutJobs(now: number): Promise<number> {
    const since = new Date(now - this.config.JOBS_RETENTION_DAYS * DAY_MS).toISOString();
    let count = 0;
    for (const { reader, type } of this.readers.withJobs) {
      const { position: throughSeq, types } = reader;
      let afterSeq = Math.max(reader.since, await this.journal.seqBefore(since));
      for (let full = true; full; await setImmediate()) {
        const events = await this.journal.read({ afterSeq, throughSeq, types, limit: PAGE });
        const ids = events.map(({ id }) => id);
        const found = await this.store.eventsWith(type, ids);
        const missing = ids.filter((id) => !found.has(id));
        const discarded = missing.length > 0 ? await this.discarded(type) : new Set();
        count += missing.filter((id) => !discarded.has(id)).length;
        full = events.length === PAGE;
        afterSeq = events.at(-1)?.seq ?? afterSeq;
      }
    }
    return count;
  }

  /** Jobs that name an event as their reason which is not in the journal, and which retention has not removed. */
  private async countJobsWithoutEvents(): Promise<number> {
    const oldest = await this.journal.oldestTimestamp();
    if (oldest === undefined) return 0;
    let count = 0;
    // A little later: events of the same minute are in the journal in the order of their commits, not of their ids.
    let afterId = `evt-${lowestIdAt(Date.parse(oldest) + MINUTE_MS)}`;
    for (let full = true; full; await setImmediate()) {
      const ids = await this.store.reasonsAfter(afterId, PAGE);
      count += ids.length - (await this.journal.countOf(ids));
      full = ids.length === PAGE;
      afterId = ids.at(-1) ?? afterId;
    }
    return count;
  }

  /** The events whose job of a type an admin has discarded. */
  private async discarded(type: string): Promise<Set<unknown>> {
    const ids = new Set<unknown>();
    let after: string | undefined;
    do {
      const rows = await this.trail.list({ types: ['job.discarded'], after, limit: PAGE });
      for (const { details } of rows) if (details?.['type'] === type) ids.add(details['eventId']);
      after = rows.length === PAGE ? rows.at(-1)?.id : undefined;
    } while (after !== undefined);
    return ids;
  }
}
