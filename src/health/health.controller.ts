import { Controller, Get } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import { Public } from '../common/principal.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventJournal } from '../events/event-journal.service.js';
import { EventRelay } from '../events/event-relay.service.js';
import { Reconciliation, type ReconcileReport } from '../events/reconciliation.service.js';

/** What a service that can serve says of itself. */
interface Readiness {
  status: 'ready';
  relay: { lagEvents: number };
  /** What should not be there, as the hourly reconciliation counted it last; null before its first time. */
  reconciliation: ReconcileReport | null;
}

/** How long one check may take. */
const TIMEOUT_MS = 2000;

/** What orchestrators ask: is the process alive, and can it serve? */
@Public()
@Controller()
export class HealthController {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly journal: EventJournal,
    private readonly relay: EventRelay,
    private readonly reconciliation: Reconciliation,
  ) {}

  @Get('health')
  health(): { status: 'ok'; uptimeSeconds: number } {
    return { status: 'ok', uptimeSeconds: Math.floor(process.uptime()) };
  }

  /** Reads and writes for real: the journal through the reader, an empty transaction through the writer's gate. */
  @Get('readiness')
  async readiness(): Promise<Readiness> {
    const head = await this.check('database read', () => this.journal.head());
    await this.check('database write', () => this.unitOfWork.run((tx) => tx.query('SELECT 1')));
    const relay = { lagEvents: Math.max(0, head - this.relay.position) };
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
      const message = `The check "${name}" failed`;
      throw Object.assign(new AppError('SERVICE_UNAVAILABLE', message, [{ code: 'NOT_READY', message }]), {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }
}
