/** One figure of a benchmark, and what it must be. */
export interface Figure {
  value: number | string;
  target?: string;
}

/** Prints the figures for people, and one JSON line for programs. */
export function report(name: string, figures: Record<string, Figure>): void {
  const width = Math.max(...Object.keys(figures).map((label) => label.length));
  for (const [label, { value, target }] of Object.entries(figures)) {
    process.stdout.write(`  ${label.padEnd(width)}  ${value}${target === undefined ? '' : `  (target: ${target})`}\n`);
  }
  const values = Object.fromEntries(Object.entries(figures).map(([label, { value }]) => [label, value]));
  process.stdout.write(`${JSON.stringify({ benchmark: name, node: process.version, ...values })}\n`);
}

/** The value that `percent` of the samples do not exceed. */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/** The arithmetic mean. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
