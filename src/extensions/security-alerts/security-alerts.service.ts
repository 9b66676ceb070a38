import {
  AccountLookup,
  DurableReader,
  EventBus,
  Housekeeping,
  Injectable,
  JobQueue,
  LessThan,
  MoreThan,
  readSettings,
  UnitOfWork,
  type DomainEvent,
  type EntityManager,
  type JobContext,
  type OnModuleInit,
} from '../../extension-api.js';
import type { Alert } from './alert.events.js';
import { alertSettings } from './alert-settings.js';
import { FailedLogin } from './failed-login.entity.js';
import { RaisedAlert } from './raised-alert.entity.js';

/** How many alerts are mailed within a cool-down; the others are events all the same. */
const MAX_MAILED = 20;

/**
 * Tells admins when many logins fail in a short time, and when one of them is locked out.
 *
 * What it counts is in the database, so a restart forgets nothing, and counts nothing twice: the failure that is noted, the
 * alert it leads to and the end of its job are one transaction.
 */
@Injectable()
export class SecurityAlerts implements OnModuleInit {
  private readonly settings = readSettings(alertSettings);

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly queue: JobQueue,
    private readonly accounts: AccountLookup,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.register('security alerts', () => this.removeOld(Date.now()));
  }

  @DurableReader({ name: 'security-alerts-failures', events: ['login.failed'] })
  async onFailed(event: DomainEvent<'login.failed'>, job: JobContext): Promise<void> {
    const { SECURITY_ALERTS_FAILURES_PER_ADDRESS: perAddress, SECURITY_ALERTS_FAILURES_TOTAL: total } = this.settings;
    const { email } = event.payload;
    const { ip } = event.origin;
    const at = Date.parse(event.timestamp);
    await this.unitOfWork.run(async (tx) => {
      // Of failures that are noted side by side, none would see as many as there are.
      await this.unitOfWork.lock('security alerts');
      await tx.insert(FailedLogin, { eventId: event.id, email, ip, at });
      // Of an address that nobody has: anybody could make up as many as they like, each with an alert of its own.
      const isSomebodys = (await this.accounts.addressOf({ email })) !== undefined;
      if (isSomebodys) await this.watch(tx, { email, ip: null }, perAddress, at);
      if (ip !== null) await this.watch(tx, { email: null, ip }, perAddress, at);
      await this.watch(tx, { email: null, ip: null }, total, at);
      await job.complete();
    });
  }

  @DurableReader({ name: 'security-alerts-locks', events: ['account.locked'] })
  async onLocked({ payload: { email }, timestamp }: DomainEvent<'account.locked'>, job: JobContext): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await this.unitOfWork.lock('security alerts');
      if ((await this.accounts.adminAddresses()).includes(email)) {
        await this.raise(tx, { kind: 'admin_locked', email, ip: null, failures: null }, Date.parse(timestamp));
      }
      await job.complete();
    });
  }

  /** Raises an alert when so many logins have failed within the window, of one address or of all. */
  private async watch(
    tx: EntityManager,
    whose: Pick<Alert, 'email' | 'ip'>,
    threshold: number,
    at: number,
  ): Promise<void> {
    if (threshold === 0) return;
    const { email, ip } = whose;
    const where = { ...(email !== null && { email }), ...(ip !== null && { ip }) };
    const since = MoreThan(at - this.settings.SECURITY_ALERTS_WINDOW);
    // No further than to the threshold: an attack must not make each of its steps dearer.
    const failed = await tx.find(FailedLogin, {
      select: { eventId: true },
      where: { ...where, at: since },
      take: threshold,
    });
    if (failed.length === threshold) await this.raise(tx, { kind: 'failed_logins', ...whose, failures: threshold }, at);
  }

  /** Publishes an alert and mails it to every admin, unless the same was told a short time ago. */
  private async raise(tx: EntityManager, alert: Alert, at: number): Promise<void> {
    const { SECURITY_ALERTS_COOLDOWN, SECURITY_ALERTS_MAIL, SECURITY_ALERTS_WINDOW } = this.settings;
    const key = JSON.stringify([alert.kind, alert.email, alert.ip]);
    const last = await tx.findOneBy(RaisedAlert, { key });
    if (last && last.raisedAt > at - SECURITY_ALERTS_COOLDOWN) return;
    await tx.upsert(RaisedAlert, { key, raisedAt: at }, ['key']);
    const { id: eventId } = await this.events.publish('security.alert_raised', alert);
    const told = await tx.countBy(RaisedAlert, { raisedAt: MoreThan(at - SECURITY_ALERTS_COOLDOWN) });
    if (!SECURITY_ALERTS_MAIL || told > MAX_MAILED) return;
    const data = { ...alert, at: new Date(at).toISOString(), windowMinutes: SECURITY_ALERTS_WINDOW / 60_000 };
    const mails = (await this.accounts.adminAddresses()).map((to) => ({
      payload: { to, template: 'security-alert' as const, data },
      options: { eventId },
    }));
    await this.queue.submitAll('mail.send', mails);
  }

  private async removeOld(now: number): Promise<void> {
    const { SECURITY_ALERTS_WINDOW, SECURITY_ALERTS_COOLDOWN } = this.settings;
    await this.unitOfWork.run(async (tx) => {
      await tx.delete(FailedLogin, { at: LessThan(now - SECURITY_ALERTS_WINDOW) });
      await tx.delete(RaisedAlert, { raisedAt: LessThan(now - SECURITY_ALERTS_COOLDOWN) });
    });
  }
}
