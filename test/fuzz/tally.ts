/** Counts what was sent and what came of it, and remembers the first things that went wrong. */
export class Tally {
  readonly failures: string[] = [];
  private readonly counts = new Map<string, Map<string, number>>();
  /** Everything counted under `sent`. */
  sent = 0;

  count(group: 'sent' | 'came' | 'also', name: string): void {
    if (group === 'sent') this.sent += 1;
    let names = this.counts.get(group);
    if (!names) this.counts.set(group, (names = new Map()));
    names.set(name, (names.get(name) ?? 0) + 1);
  }

  /** How often something came. */
  came(name: string): number {
    return this.counts.get('came')?.get(name) ?? 0;
  }

  fail(what: string): void {
    if (this.failures.length < 20) this.failures.push(what);
  }

  /** One line: each group with its names, the most frequent first. */
  summary(): string {
    return [...this.counts]
      .map(([group, names]) => {
        const sorted = [...names].toSorted(([, a], [, b]) => b - a);
        return `${group}: ${sorted.map(([name, count]) => `${name} ${count}`).join(', ')}`;
      })
      .join(' | ');
  }
}
