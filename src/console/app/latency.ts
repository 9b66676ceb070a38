/** How many events took at most so long, in ms; null counts every event. Cumulative. */
export type Buckets = readonly { leMs: number | null; count: number }[];

/** Returns what happened between two snapshots; the later one alone where the service has started anew in between. */
export function between(earlier: Buckets, later: Buckets): Buckets {
  const counts = later.map(({ leMs, count }, at) => ({ leMs, count: count - (earlier[at]?.count ?? 0) }));
  return counts.some(({ count }) => count < 0) ? later : counts;
}

/**
 * Estimates a quantile in ms, as Prometheus' `histogram_quantile` does: evenly spread within a bucket. Null without any
 * event; the highest bound for what is beyond it.
 */
export function quantile(buckets: Buckets, q: number): number | null {
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return null;
  const rank = q * total;
  let [lowMs, below] = [0, 0];
  for (const { leMs, count } of buckets) {
    if (leMs === null) return lowMs;
    if (count >= rank && count > below) return lowMs + ((leMs - lowMs) * (rank - below)) / (count - below);
    [lowMs, below] = [leMs, count];
  }
  return lowMs;
}
