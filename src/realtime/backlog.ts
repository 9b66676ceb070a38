import type { RealtimeConnection } from './realtime-connection.js';

/** How many bytes may wait. */
export interface BacklogLimits {
  /** For one connection. */
  maxBytes: number;
  /** For all of them together. */
  totalBytes: number;
}

/** The connections for which bytes may wait because their clients do not read them, and how much that may be. */
export class Backlog {
  private readonly waiting = new Set<RealtimeConnection>();

  constructor(private readonly limits: BacklogLimits) {}

  /** Has an eye kept on a connection until nothing waits for it any more. */
  add(connection: RealtimeConnection): void {
    this.waiting.add(connection);
  }

  delete(connection: RealtimeConnection): void {
    this.waiting.delete(connection);
  }

  /** Ends those for which too much waits, and then the largest until all of them together are within their limit. */
  keepWithinLimits(): void {
    const { maxBytes, totalBytes } = this.limits;
    let total = 0;
    for (const connection of this.waiting) {
      const { bufferedBytes } = connection;
      if (bufferedBytes === 0) this.waiting.delete(connection);
      total += bufferedBytes;
      // Answers and pongs wait for a client that does not read as events do.
      if (bufferedBytes > maxBytes) connection.end('slow_consumer');
    }
    if (total <= totalBytes) return;
    const waiting = [...this.waiting].map((connection) => ({ connection, bytes: connection.bufferedBytes }));
    for (const { connection, bytes } of waiting.toSorted((a, b) => b.bytes - a.bytes)) {
      connection.end('slow_consumer');
      // What waits is given up: a goodbye that waits behind it would free nothing.
      connection.destroy();
      total -= bytes;
      if (total <= totalBytes) return;
    }
  }
}
