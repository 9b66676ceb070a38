import { Injectable, type OnModuleInit } from '@nestjs/common';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { JournalReaders } from '../events/journal-readers.service.js';
import { Reconciliation } from '../events/reconciliation.service.js';
import { JobQueue } from '../jobs/job-queue.service.js';
import { RealtimeMetrics } from '../realtime/realtime-metrics.service.js';

/** One request that was answered. */
interface AnsweredRequest {
  method: string;
  /** The route's pattern, never the path: a path holds ids, and there must be few series. */
  route: string;
  status: number;
  durationMs: number;
}

/** What is measured, in the format of Prometheus. */
@Injectable()
export class Metrics implements OnModuleInit {
  private readonly registry = new Registry();
  private readonly requests = new Histogram({
    name: 'herald_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [this.registry],
  });

  constructor(
    private readonly readers: JournalReaders,
    private readonly reconciliation: Reconciliation,
    private readonly queue: JobQueue,
    private readonly realtime: RealtimeMetrics,
  ) {}

  onModuleInit(): void {
    collectDefaultMetrics({ register: this.registry });
    this.gauge('herald_jobs', 'Jobs, by state.', 'state', async () => this.queue.stats());
    for (const metric of this.realtime.all) this.registry.registerMetric(metric);
    this.gauge('herald_reader_lag_events', 'Events that a reader of the journal is not done with.', 'reader', () =>
      this.readers.lags(),
    );
    this.gauge(
      'herald_reconcile_mismatches',
      'What should not be there, as the hourly reconciliation counted it last: always 0.',
      'check',
      () => this.reconciliation.latest?.counts ?? {},
    );
  }

  /** The type of {@link render}'s text. */
  get contentType(): string {
    return this.registry.contentType;
  }

  /** Returns everything, measured now. */
  render(): Promise<string> {
    return this.registry.metrics();
  }

  /** Counts a request that was answered. */
  observe({ method, route, status, durationMs }: AnsweredRequest): void {
    this.requests.observe({ method, route, status }, durationMs / 1000);
  }

  /** Adds a gauge whose values are asked for when somebody looks, one per value of its label. */
  private gauge(
    name: string,
    help: string,
    label: string,
    read: () => Promise<Record<string, number>> | Record<string, number>,
  ): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect: async () => {
        const values = await read();
        gauge.reset();
        for (const [key, value] of Object.entries(values)) gauge.set({ [label]: key }, value);
      },
    });
  }
}
