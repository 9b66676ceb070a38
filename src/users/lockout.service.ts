import { Injectable, type OnModuleInit } from '@nestjs/common';
import { In, LessThan } from 'typeorm';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from '../events/event-bus.js';
import { Lockout } from './lockout.entity.js';

/** After this long without a failure an address is forgotten. */
const FORGET_AFTER_MS = 30 * 86_400_000;

/**
 * Counts failed logins per email address and locks the address after too many in a row.
 *
 * Addresses without an account are counted the same, so that a lock tells nothing about who has one.
 */
@Injectable()
export class LockoutService implements OnModuleInit {
  constructor(
    private readonly config: Config,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.register('lockouts', () =>
      this.unitOfWork.run((tx) => tx.delete(Lockout, { lastFailureAt: LessThan(Date.now() - FORGET_AFTER_MS) })),
    );
  }

  /** Returns when the lock on an address ends, in epoch milliseconds; undefined while there is none. */
  async lockedUntil(email: string, now: number): Promise<number | undefined> {
    if (this.config.LOCKOUT_MAX_ATTEMPTS === 0) return undefined;
    const lockout = await this.find(email);
    return lockout?.lockedUntil && lockout.lockedUntil > now ? lockout.lockedUntil : undefined;
  }

  /** Counts a failure and publishes `account.locked` with the one that is too many; returns when that lock ends. */
  async recordFailure(email: string, now: number): Promise<number | undefined> {
    const { LOCKOUT_MAX_ATTEMPTS: max, LOCKOUT_DURATION_MS: duration } = this.config;
    if (max === 0) return undefined;
    return this.unitOfWork.run(async (tx) => {
      const before = await this.find(email);
      const failures = (before?.failures ?? 0) + 1;
      const locks = failures >= max;
      const lockedUntil = locks ? now + duration : (before?.lockedUntil ?? null);
      await tx.upsert(Lockout, { email, failures: locks ? 0 : failures, lockedUntil, lastFailureAt: now }, ['email']);
      if (!locks) return undefined;
      await this.events.publish('account.locked', { email });
      return lockedUntil ?? undefined;
    });
  }

  /** Forgets the failures of an address; publishes `account.unlocked` when a lock had come and gone. */
  async recordSuccess(email: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const before = await this.find(email);
      if (!before) return;
      await tx.delete(Lockout, { email });
      if (before.lockedUntil !== null) await this.events.publish('account.unlocked', { email });
    });
  }

  /** Ends the lock of an address by an admin's hand and publishes `account.unlocked`, where there is one. */
  async unlock(email: string): Promise<void> {
    await this.recordSuccess(email);
  }

  /** Returns when the locks on some addresses end, in epoch milliseconds; those without one are left out. */
  async locks(emails: string[], now: number): Promise<Map<string, number>> {
    const found = await this.unitOfWork.run((tx) => tx.findBy(Lockout, { email: In(emails) }));
    return new Map(
      found.flatMap(({ email, lockedUntil }) =>
        lockedUntil !== null && lockedUntil > now ? [[email, lockedUntil]] : [],
      ),
    );
  }

  private async find(email: string): Promise<Lockout | null> {
    return this.unitOfWork.run((tx) => tx.findOneBy(Lockout, { email }));
  }
}

/** What whoever tries a locked account is answered. */
export function lockedError(until: number, now: number): AppError {
  const seconds = Math.max(1, Math.ceil((until - now) / 1000));
  const message = 'The account is locked after too many failed logins';
  return new AppError('FORBIDDEN', message, [{ code: 'ACCOUNT_LOCKED', message }], seconds);
}
