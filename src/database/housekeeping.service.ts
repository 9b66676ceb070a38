import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';

const INTERVAL_MS = 3_600_000;

/** Runs what must be cleared away from time to time, once an hour, one task after the other. */
@Injectable()
export class Housekeeping implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(Housekeeping.name);
  private readonly tasks = new Map<string, () => Promise<unknown>>();
  private timer: NodeJS.Timeout | undefined;

  /** Adds a task; a failing one is logged under its name and tried again an hour later. */
  register(name: string, task: () => Promise<unknown>): void {
    this.tasks.set(name, task);
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.runAll(), INTERVAL_MS);
    this.timer.unref();
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
