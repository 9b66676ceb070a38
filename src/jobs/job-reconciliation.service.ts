import { setImmediate } from 'node:timers/promises';
import { Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { lowestIdAt } from '../common/time-ids.js';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { EventJournal } from '../events/event-journal.service.js';
import { JournalReaders } from '../events/journal-readers.service.js';
import { Reconciliation } from '../events/reconciliation.service.js';
import { DurableReaders } from './durable-readers.service.js';
import { JobStore } from './job-store.service.js';

const PAGE = 500;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Where the record of a reader begins whose jobs are kept in memory. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** Checks that every event has the jobs of its durable readers, and every job its event. */
@Injectable()
export class JobReconciliation implements OnModuleInit, OnApplicationBootstrap {
  constructor(
    private readonly config: Config,
    private readonly reconciliation: Reconciliation,
    private readonly journal: EventJournal,
    private readonly trail: AuditTrail,
    private readonly journalReaders: JournalReaders,
    private readonly readers: DurableReaders,
    private readonly store: JobStore,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    if (this.config.JOBS_STORE === 'memory') return;
    this.reconciliation.add('events_without_jobs', () => this.countEventsWithoutJobs());
    this.reconciliation.add('jobs_without_events', () => this.countJobsWithoutEvents());
    this.housekeeping.register('record of jobs', () => this.forgetBefore(Date.now()));
  }

  /** Jobs that are kept in memory go with every process: of what was read under it, nothing can be told later. */
  async onApplicationBootstrap(): Promise<void> {
    for (const { reader } of this.readers.withJobs) {
      if (this.config.JOBS_STORE === 'memory') await reader.setSince(NEVER);
      else if (reader.since === NEVER) await reader.setSince(reader.position);
    }
  }

  /** Moves on where the check begins: jobs that ended before then are being removed. */
  private async forgetBefore(now: number): Promise<void> {
    const days = Math.min(this.config.JOBS_RETENTION_DAYS, this.config.EVENTS_RETENTION_DAYS);
    await this.journalReaders.refresh();
    const seq = await this.journal.seqBefore(new Date(now - days * DAY_MS).toISOString());
    for (const { reader } of this.readers.withJobs) {
      const complete = Math.min(seq, reader.position);
      if (complete > reader.since) await reader.setSince(complete);
    }
  }

  /** Events that a durable reader is done with, and that left no job. */
  private async countEventsWithoutJobs(): Promise<number> {
    await this.journalReaders.refresh();
    let count = 0;
    for (const { reader, type } of this.readers.withJobs) {
      const { position: throughSeq, types } = reader;
      let afterSeq = reader.since;
      let discarded: Set<unknown> | undefined;
      for (let full = true; full; await setImmediate()) {
        const events = await this.journal.read({ afterSeq, throughSeq, types, limit: PAGE });
        const ids = events.map(({ id }) => id);
        const found = await this.store.eventsWith(type, ids);
        const missing = ids.filter((id) => !found.has(id));
        if (missing.length > 0) discarded ??= await this.discarded(type);
        count += missing.filter((id) => !discarded?.has(id)).length;
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
