import { setTimeout as pause } from 'node:timers/promises';
import { Controller, Get, type OnModuleDestroy } from '@nestjs/common';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { count, epochMs } from '../common/fields.js';
import { Public } from '../common/principal.js';
import { Config } from '../config/config.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventJournal } from '../events/event-journal.service.js';
import { EventRelay } from '../events/event-relay.service.js';
import { Reconciliation } from '../events/reconciliation.service.js';
import { checkDisk } from './disk-check.js';
import { ReadinessChecks } from './readiness-checks.service.js';
import { StallWatch } from './stall-watch.js';

const healthAnswer = z.strictObject({ status: z.literal('ok'), uptimeSeconds: count });

/** What a service that can serve says of itself. */
const readinessAnswer = z.strictObject({
  status: z.literal('ready'),
  relay: z.strictObject({ lagEvents: count.meta({ description: 'Events that are not out yet.', examples: [0] }) }),
  reconciliation: z
    .strictObject({ checkedAt: epochMs, counts: z.record(z.string(), count) })
    .nullable()
    .meta({
      description:
        'What should not be there, as the hourly reconciliation counted it last; null before its first time, and where another instance does it.',
      examples: [null],
    }),
});

/** How long one check may take. */
const TIMEOUT_MS = 2000;
/** How long live delivery may stand still while there are events. */
const MAX_STALL_MS = 10_000;

/** What orchestrators ask: is the process alive, and can it serve? */
@Public()
@Controller()
export class HealthController implements OnModuleDestroy {
  private isClosing = false;
  private readonly delivery = new StallWatch(MAX_STALL_MS);

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly journal: EventJournal,
    private readonly relay: EventRelay,
    private readonly reconciliation: Reconciliation,
    private readonly config: Config,
    private readonly checks: ReadinessChecks,
  ) {}

  /** The first step of a shutdown: not ready any more, while load balancers look away and requests are still served. */
  async onModuleDestroy(): Promise<void> {
    this.isClosing = true;
    if (this.config.SHUTDOWN_DELAY_MS > 0) await pause(this.config.SHUTDOWN_DELAY_MS);
  }

  @Get('health')
  @Documented({ summary: 'Is the process alive?', answer: healthAnswer })
  health(): z.infer<typeof healthAnswer> {
    return { status: 'ok', uptimeSeconds: Math.floor(process.uptime()) };
  }

  /**
   * Looks for real: the journal through the reader, a transaction through the writer's gate, the disk, and whether events
   * are delivered to live clients. Jobs that wait are no reason to serve nobody: they are measured.
   */
  @Get('readiness')
  @Documented({
    summary: 'Can it serve?',
    answer: readinessAnswer,
    errors: { SERVICE_UNAVAILABLE: 'A check failed, or the service is shutting down.' },
  })
  async readiness(): Promise<z.infer<typeof readinessAnswer>> {
    if (this.isClosing) throw notReady('The service is shutting down');
    const top = await this.check('database read', () => this.journal.top());
    await this.check('database write', () => this.unitOfWork.run((tx) => tx.query('SELECT 1')));
    // A server's disk is for its own monitoring.
    if (this.config.DATABASE_URL.kind === 'sqlite') await this.check('disk', () => checkDisk(this.config.dataFolder));
    await this.check('live delivery', async () => this.delivery.look(this.relay.position, top, performance.now()));
    await Promise.all([...this.checks.all].map(([name, run]) => this.check(name, run)));
    const relay = { lagEvents: Math.max(0, top - this.relay.position) };
    return { status: 'ready', relay, reconciliation: this.reconciliation.latest ?? null };
  }

  private async check<T>(name: string, run: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('timed out')), TIMEOUT_MS);
    });
    try {
      return await Promise.race([run(), timeout]);
    } catch (error) {
      throw Object.assign(notReady(`The check "${name}" failed`), { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

function notReady(message: string): AppError {
  return new AppError('SERVICE_UNAVAILABLE', message, [{ code: 'NOT_READY', message }]);
}
