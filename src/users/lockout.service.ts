import { Injectable, type OnModuleInit } from '@nestjs/common';
import { In, LessThan } from 'typeorm';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { HotQueries, type HotQuery } from '../database/hot-queries.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from '../events/event-bus.js';
import { Lockout } from './lockout.entity.js';

/** After this long without a failure an address is forgotten. */
const FORGET_AFTER_MS = 30 * 86_400_000;

/** An address or an account's proofs that are locked. */
export interface Lock {
  subject: string;
  /** In epoch ms. */
  until: number;
}

/**
 * Counts failed logins per email address and locks the address after too many in a row.
 *
 * Addresses without an account are counted the same, so that a lock tells nothing about who has one.
 */
@Injectable()
export class LockoutService implements OnModuleInit {
  private readonly countLocks: HotQuery<{ count: number }>;
  private readonly longestLocks: HotQuery<Lock>;

  constructor(
    private readonly config: Config,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly housekeeping: Housekeeping,
    hot: HotQueries,
  ) {
    this.countLocks = hot.prepare('SELECT COUNT(*) AS count FROM lockouts WHERE "lockedUntil" > ?');
    this.longestLocks = hot.prepare(
      'SELECT subject, "lockedUntil" AS until FROM lockouts WHERE "lockedUntil" > ? ORDER BY "lockedUntil" DESC LIMIT ?',
    );
  }

  onModuleInit(): void {
    this.housekeeping.register('lockouts', () =>
      this.unitOfWork.run((tx) => tx.delete(Lockout, { lastFailureAt: LessThan(Date.now() - FORGET_AFTER_MS) })),
    );
  }

  /**
   * Returns when the lock on an address or an account's proofs ends, in epoch milliseconds; undefined without one. It holds
   * until the end of the caller's unit of work, in which the account, if there is one, is held before.
   */
  async lockedUntil(subject: string, now: number): Promise<number | undefined> {
    if (this.config.LOCKOUT_MAX_ATTEMPTS === 0) return undefined;
    const lockout = await this.find(subject);
    return lockout?.lockedUntil && lockout.lockedUntil > now ? lockout.lockedUntil : undefined;
  }

  /** Counts a failed login and publishes `account.locked` with the one that is too many; returns when that lock ends. */
  async recordFailure(email: string, now: number): Promise<number | undefined> {
    return this.unitOfWork.run(async () => {
      const lockedUntil = await this.count(email, now);
      if (lockedUntil !== undefined) await this.events.publish('account.locked', { email });
      return lockedUntil;
    });
  }

  /** Forgets the failed logins of an address; publishes `account.unlocked` when a lock had come and gone. */
  async recordSuccess(email: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      const before = await this.forget(email);
      if (before?.lockedUntil) await this.events.publish('account.unlocked', { email });
    });
  }

  /** Ends what locks an account by an admin's hand; publishes `account.unlocked` where logins were. */
  async unlock({ id, email }: { id: string; email: string }): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.recordSuccess(email);
      await this.forget(id);
    });
  }

  /** Counts a failure; returns when the lock ends that it brings, if it is one too many. */
  async count(subject: string, now: number): Promise<number | undefined> {
    const { LOCKOUT_MAX_ATTEMPTS: max, LOCKOUT_DURATION_MS: duration } = this.config;
    if (max === 0) return undefined;
    return this.unitOfWork.run(async (tx) => {
      const before = await this.find(subject);
      const failures = (before?.failures ?? 0) + 1;
      const locks = failures >= max;
      const lockedUntil = locks ? now + duration : (before?.lockedUntil ?? null);
      const row = { subject, failures: locks ? 0 : failures, lockedUntil, lastFailureAt: now };
      await tx.upsert(Lockout, row, ['subject']);
      return locks ? (lockedUntil ?? undefined) : undefined;
    });
  }

  /** Forgets failures; returns what there was. */
  async forget(subject: string): Promise<Lockout | undefined> {
    return this.unitOfWork.run(async (tx) => {
      const before = await this.find(subject);
      if (before) await tx.delete(Lockout, { subject });
      return before ?? undefined;
    });
  }

  /** Returns when the locks on some addresses end, in epoch milliseconds; those without one are left out. */
  async locks(emails: string[], now: number): Promise<Map<string, number>> {
    const found = await this.unitOfWork.run((tx) => tx.findBy(Lockout, { subject: In(emails) }));
    return new Map(
      found.flatMap(({ subject, lockedUntil }) =>
        lockedUntil !== null && lockedUntil > now ? [[subject, lockedUntil]] : [],
      ),
    );
  }

  /** Returns how many addresses and accounts are locked, and the first of them, those that are locked longest first. */
  async current(now: number, limit: number): Promise<{ count: number; first: Lock[] }> {
    const [total] = await this.countLocks(now);
    return { count: total?.count ?? 0, first: await this.longestLocks(now, limit) };
  }

  private async find(subject: string): Promise<Lockout | null> {
    return this.unitOfWork.run(async (tx) => {
      // Inside a unit that goes on to count: of two failures at once, the second counts what the first has made of it.
      await this.unitOfWork.lock(`lockout ${subject}`);
      return tx.findOneBy(Lockout, { subject });
    });
  }
}

/** What whoever tries a locked account is answered. */
export function lockedError(until: number, now: number): AppError {
  const seconds = Math.max(1, Math.ceil((until - now) / 1000));
  const message = 'The account is locked after too many failures';
  return new AppError('FORBIDDEN', message, [{ code: 'ACCOUNT_LOCKED', message }], seconds);
}
