import { Injectable } from '@nestjs/common';
import { HERALD_VERSION } from '../common/herald-version.js';
import { EventCounts } from '../events/event-counts.service.js';
import { JournalReaders } from '../events/journal-readers.service.js';
import { Reconciliation } from '../events/reconciliation.service.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import { RealtimeMetrics } from '../realtime/realtime-metrics.service.js';
import { LockoutService } from '../users/lockout.service.js';
import { AttemptCounts } from '../webhooks/attempt-counts.service.js';
import { WebhookEndpoints } from '../webhooks/webhook-endpoints.service.js';
import type { Overview } from './overview.schema.js';

/** The most types of dead jobs and locks that are named. */
const NAMED = 5;

/** Looks at every room at once. */
@Injectable()
export class OverviewService {
  constructor(
    private readonly events: EventCounts,
    private readonly readers: JournalReaders,
    private readonly reconciliation: Reconciliation,
    private readonly queue: JobQueue,
    private readonly realtime: RealtimeMetrics,
    private readonly lockouts: LockoutService,
    private readonly attempts: AttemptCounts,
    private readonly endpoints: WebhookEndpoints,
  ) {}

  async look(): Promise<Overview> {
    const now = Date.now();
    const readerLag = await this.readers.lags();
    return {
      now,
      version: HERALD_VERSION,
      uptimeSeconds: Math.floor(process.uptime()),
      jobs: await this.queue.stats(),
      deadJobs: await this.queue.deadByType(NAMED),
      endpoints: await this.troubledEndpoints(),
      locks: await this.lockouts.current(now, NAMED),
      reconciliation: this.reconciliation.latest ?? null,
      connections: this.realtime.openConnections(),
      eventsPerMinute: await this.events.ofLastHour(now),
      attemptsPerMinute: await this.attempts.ofLastHour(now),
      latency: await this.realtime.latencyBuckets(),
      readerLag,
    };
  }

  private async troubledEndpoints(): Promise<Overview['endpoints']> {
    const { total, endpoints } = await this.endpoints.inTrouble();
    const inTrouble = endpoints.map(({ id, url, disabledAt, disabledReason, failingSince }) => {
      return { id, host: new URL(url).host, disabledAt, disabledReason, failingSince };
    });
    return { total, inTrouble };
  }
}
