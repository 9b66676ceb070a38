import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Housekeeping } from '../database/housekeeping.service.js';

/** Counts what should not be there: 0 when everything is as it must be. */
export type ReconcileCheck = () => Promise<number>;

/** What the checks counted. */
export interface ReconcileReport {
  /** In epoch ms. */
  checkedAt: number;
  /** How much is wrong, by check. */
  counts: Record<string, number>;
}

/**
 * Compares what the rooms have written with what they must have written, as an accountant would.
 *
 * Everything that could part is written in one transaction, so every count is 0; one that is not is a bug, or somebody's
 * hand in the database. It runs with the hourly housekeeping.
 */
@Injectable()
export class Reconciliation implements OnModuleInit {
  private readonly checks = new Map<string, ReconcileCheck>();
  private report: ReconcileReport | undefined;

  constructor(private readonly housekeeping: Housekeeping) {}

  onModuleInit(): void {
    this.housekeeping.register('reconciliation', () => this.run());
  }

  /** Adds a check. @param name - what it counts, in snake case: it is a label of the metric. */
  add(name: string, check: ReconcileCheck): void {
    this.checks.set(name, check);
  }

  /** The last report; undefined before the first. */
  get latest(): ReconcileReport | undefined {
    return this.report;
  }

  /** Runs every check now. */
  async run(): Promise<ReconcileReport> {
    const counts: Record<string, number> = {};
    for (const [name, check] of this.checks) counts[name] = await check();
    this.report = { checkedAt: Date.now(), counts };
    return this.report;
  }
}
