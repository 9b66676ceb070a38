import { Injectable } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';

const RETRY_AFTER_SECONDS = 30;

/** One place among the live connections. */
export interface Place {
  /** Counts it for an account. @throws AppError RATE_LIMITED when the account has too many. */
  assign: (userId: string) => void;
  /** Gives it back; more than once is once. */
  release: () => void;
}

/** Keeps live connections within their numbers: of this process, of an address, of an account. */
@Injectable()
export class ConnectionLimits {
  private total = 0;
  private readonly byAddress = new Map<string, number>();
  private readonly byUser = new Map<string, number>();

  constructor(private readonly config: Config) {}

  /**
   * Takes a place for a connection from an address.
   *
   * @param owner - the account, where it is known already.
   * @throws AppError RATE_LIMITED when there are too many.
   */
  take(address: string, owner?: string): Place {
    const { REALTIME_MAX_CONNECTIONS: max, REALTIME_MAX_CONNECTIONS_PER_ADDRESS: maxOfAddress } = this.config;
    if (max > 0 && this.total >= max) throw tooMany('The server has too many live connections');
    if (isFull(this.byAddress, address, maxOfAddress)) throw tooMany('Too many live connections from this address');
    if (owner !== undefined) this.refuseUser(owner);
    this.total += 1;
    add(this.byAddress, address, 1);
    let user: string | undefined;
    let isReleased = false;
    const assign = (userId: string): void => {
      if (user !== undefined || isReleased) return;
      this.refuseUser(userId);
      user = userId;
      add(this.byUser, userId, 1);
    };
    if (owner !== undefined) assign(owner);
    return {
      assign,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        this.total -= 1;
        add(this.byAddress, address, -1);
        if (user !== undefined) add(this.byUser, user, -1);
      },
    };
  }

  private refuseUser(userId: string): void {
    if (!isFull(this.byUser, userId, this.config.REALTIME_MAX_CONNECTIONS_PER_USER)) return;
    throw tooMany('Too many live connections of this account');
  }
}

function isFull(counts: ReadonlyMap<string, number>, key: string, max: number): boolean {
  return max > 0 && (counts.get(key) ?? 0) >= max;
}

function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

function tooMany(message: string): AppError {
  return new AppError('RATE_LIMITED', message, [{ code: 'CONNECTIONS_TOO_MANY', message }], RETRY_AFTER_SECONDS);
}
