import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { Housekeeping } from '../database/housekeeping.service.js';

const FIRST_RUN_MS = 30_000;

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
 * hand in the database. It runs soon after the start, and with the hourly housekeeping, in the instance whose that is.
 */
@Injectable()
export class Reconciliation implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(Reconciliation.name);
  private timer: NodeJS.Timeout | undefined;
  private readonly checks = new Map<string, ReconcileCheck>();
  private report: ReconcileReport | undefined;

  constructor(private readonly housekeeping: Housekeeping) {}

  onModuleInit(): void {
    this.housekeeping.register('reconciliation', () => this.run());
  }

  /** Looks soon after a start for the first time: what a crash has left would be there now. */
  onApplicationBootstrap(): void {
    this.timer = setTimeout(() => {
      if (!this.housekeeping.isMine) return;
      this.run().catch((error: unknown) => this.logger.error({ msg: 'the reconciliation failed', err: error }));
    }, FIRST_RUN_MS);
    this.timer.unref();
  }

  onModuleDestroy(): void {
    clearTimeout(this.timer);
  }

  /** Adds a check. @param name - what it counts, in snake case: it is a label of the metric. */
  add(name: string, check: ReconcileCheck): void {
    this.checks.set(name, check);
  }

  /** The last report; undefined before the first, and in an instance that another one keeps house for: it would grow old. */
  get latest(): ReconcileReport | undefined {
    return this.housekeeping.isMine ? this.report : undefined;
  }

  /** Runs every check now. */
  async run(): Promise<ReconcileReport> {
    const counts: Record<string, number> = {};
    for (const [name, check] of this.checks) counts[name] = await check();
    this.report = { checkedAt: Date.now(), counts };
    return this.report;
  }
}
