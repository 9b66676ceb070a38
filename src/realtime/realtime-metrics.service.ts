import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram, type Metric } from 'prom-client';
import type { RealtimeConnection, Transport } from './realtime-connection.js';

/** How old connections are told apart: each limit in ms, with its label. */
const AGES = [
  [60_000, 'under 1m'],
  [600_000, 'under 10m'],
  [3_600_000, 'under 1h'],
  [86_400_000, 'under 1d'],
  [Number.POSITIVE_INFINITY, 'older'],
] as const;

/** The codes that `ws` and Herald close with, and the usual ones of clients: who chooses others makes no series of its own. */
const CLOSE_CODES = new Set([1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1013, 4401, 4403, 4408, 4429]);

/** How a replay came out: `gap` means that events before what is left of the journal are missing. */
export type ReplayOutcome = 'complete' | 'gap' | 'left' | 'failed';

/** How many events took at most so long: the buckets are cumulative. */
export interface LatencyBucket {
  /** In ms; null for the last one, which counts every event. */
  leMs: number | null;
  count: number;
}

/** What one transport has sent so far. */
interface Sent {
  deliveries: number;
  writes: number;
}

/** What is measured of the live side. */
@Injectable()
export class RealtimeMetrics {
  private connections: ReadonlySet<RealtimeConnection> = new Set();
  /** By the connections that are gone. */
  private readonly sent: Record<Transport, Sent> = {
    websocket: { deliveries: 0, writes: 0 },
    sse: { deliveries: 0, writes: 0 },
  };

  private readonly latency = new Histogram({
    name: 'herald_realtime_commit_to_socket_seconds',
    help: 'Time from the commit of an event until it was written to every connection that gets it live.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers: [],
  });
  private readonly closes = new Counter({
    name: 'herald_realtime_closes_total',
    help: 'Connections that ended, by close code of a WebSocket and by reason of a stream.',
    labelNames: ['transport', 'code'] as const,
    registers: [],
  });
  private readonly replays = new Counter({
    name: 'herald_realtime_replays_total',
    help: 'Replays from a cursor, by how they came out.',
    labelNames: ['outcome'] as const,
    registers: [],
  });
  private readonly refusals = new Counter({
    name: 'herald_realtime_refusals_total',
    help: 'Connections that a limit kept out.',
    labelNames: ['limit'] as const,
    registers: [],
  });

  /** All of them, to be registered. */
  readonly all: readonly Metric[] = [
    this.latency,
    this.closes,
    this.replays,
    this.refusals,
    this.counter('herald_realtime_deliveries_total', 'Events sent to connections, live or replayed.', 'deliveries'),
    this.counter(
      'herald_realtime_writes_total',
      'Writes that events were sent with: deliveries by writes is how many shared one.',
      'writes',
    ),
    this.gauge('herald_realtime_waiting_bytes', 'Bytes sent that connections have not taken yet.', (gauge) => {
      for (const { bufferedBytes } of this.connections) gauge.inc(bufferedBytes);
    }),
    this.gauge('herald_realtime_connections', 'Open connections, by transport and age.', (gauge, now) => {
      for (const transport of ['websocket', 'sse']) for (const [, age] of AGES) gauge.set({ transport, age }, 0);
      for (const { transport, connectedAt } of this.connections) {
        const age = AGES.find(([limit]) => now - connectedAt < limit)?.[1];
        gauge.inc({ transport, age: age ?? 'older' });
      }
    }),
  ];

  /** Returns how many connections are open on each transport. */
  openConnections(): Record<Transport, number> {
    const open = { websocket: 0, sse: 0 };
    for (const { transport } of this.connections) open[transport] += 1;
    return open;
  }

  /** Returns since the start how many events took at most so many ms from their commit to every socket. */
  async latencyBuckets(): Promise<LatencyBucket[]> {
    const { values } = await this.latency.get();
    return values
      .filter(({ metricName }) => metricName?.endsWith('_bucket'))
      .map(({ labels: { le }, value }) => ({ leMs: le === '+Inf' ? null : Number(le) * 1000, count: value }));
  }

  /** Measures these connections from now on. */
  watch(connections: ReadonlySet<RealtimeConnection>): void {
    this.connections = connections;
  }

  /** An event was written to every connection that gets it. @param ms - since its commit. */
  flushed(ms: number): void {
    this.latency.observe(ms / 1000);
  }

  /** A connection is gone. @param code - the close code, or the reason of a stream's end. */
  closed({ transport, deliveries, writes }: RealtimeConnection, code: string | number): void {
    this.sent[transport].deliveries += deliveries;
    this.sent[transport].writes += writes;
    this.closes.inc({ transport, code: typeof code === 'string' || CLOSE_CODES.has(code) ? code : 'other' });
  }

  /** A replay is over. */
  replayed(outcome: ReplayOutcome): void {
    this.replays.inc({ outcome });
  }

  /** A connection was not let in. */
  refused(limit: string): void {
    this.refusals.inc({ limit });
  }

  private counter(name: string, help: string, what: keyof Sent): Metric {
    const counter = new Counter({
      name,
      help,
      labelNames: ['transport'],
      registers: [],
      collect: () => {
        counter.reset();
        for (const [transport, sent] of Object.entries(this.sent)) counter.inc({ transport }, sent[what]);
        for (const connection of this.connections) counter.inc({ transport: connection.transport }, connection[what]);
      },
    });
    return counter;
  }

  private gauge(name: string, help: string, measure: (gauge: Gauge, now: number) => void): Metric {
    const labelNames = ['transport', 'age'];
    const gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [],
      collect: () => {
        gauge.reset();
        measure(gauge, Date.now());
      },
    });
    return gauge;
  }
}
