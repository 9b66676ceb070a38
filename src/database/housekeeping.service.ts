import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Instances } from './instances.js';

const INTERVAL_MS = 3_600_000;

/** Runs what must be cleared away from time to time, once an hour, one task after the other, in one instance. */
@Injectable()
export class Housekeeping implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(Housekeeping.name);
  private readonly tasks = new Map<string, () => Promise<unknown>>();
  private timer: NodeJS.Timeout | undefined;

  private mine = false;

  constructor(private readonly instances: Instances) {}

  /** Whether this instance does it at present. */
  get isMine(): boolean {
    return this.mine;
  }

  /** Adds a task; a failing one is logged under its name and tried again an hour later. */
  register(name: string, task: () => Promise<unknown>): void {
    this.tasks.set(name, task);
  }

  async onApplicationBootstrap(): Promise<void> {
    this.timer = setInterval(() => void (this.mine && this.runAll()), INTERVAL_MS);
    this.timer.unref();
    const begin = () => void (this.mine = true);
    await this.instances.share('housekeeping', { begin, end: () => void (this.mine = false) });
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** Runs every task now. */
  async runAll(): Promise<void> {
    for (const [name, task] of this.tasks) {
      try {
        await task();
      } catch (error) {
        this.logger.error({ msg: `housekeeping task "${name}" failed`, err: error });
      }
    }
  }
}
