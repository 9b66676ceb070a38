import { Injectable } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';
import { RealtimeMetrics } from './realtime-metrics.service.js';

const RETRY_AFTER_SECONDS = 30;

/** What keeps a connection out. */
const MESSAGES = {
  server: 'The server has too many live connections',
  address: 'Too many live connections from this address',
  unauthenticated: 'Too many connections from this address that have not authenticated',
  account: 'Too many live connections of this account',
};
type Limit = keyof typeof MESSAGES;

/** There are too many connections for one more. */
export class TooManyConnections extends AppError {
  constructor(readonly limit: Limit) {
    const message = MESSAGES[limit];
    super('RATE_LIMITED', message, [{ code: 'CONNECTIONS_TOO_MANY', message }], RETRY_AFTER_SECONDS);
  }
}

/** Keeps live connections within their numbers: of this process, of an address, of an account. */
@Injectable()
export class ConnectionLimits {
  private total = 0;
  private readonly byAddress = new Map<string, number>();
  private readonly unauthenticated = new Map<string, number>();
  private readonly byUser = new Map<string, number>();

  constructor(
    private readonly config: Config,
    private readonly metrics: RealtimeMetrics,
  ) {}

  /**
   * Takes a place for a connection from an address.
   *
   * @param owner - the account, where it is known already.
   * @throws TooManyConnections
   */
  take(address: string, owner?: string): Place {
    const { config } = this;
    this.refuseIf('server', this.total, config.REALTIME_MAX_CONNECTIONS);
    this.refuseIf('address', this.byAddress.get(address), config.REALTIME_MAX_CONNECTIONS_PER_ADDRESS);
    if (owner !== undefined) this.refuseAccount(owner);
    else {
      const max = config.REALTIME_MAX_UNAUTHENTICATED_PER_ADDRESS;
      this.refuseIf('unauthenticated', this.unauthenticated.get(address), max);
    }
    return new Place(this, address, owner);
  }

  /** Counts a connection in or out. */
  count(address: string, change: 1 | -1): void {
    this.total += change;
    add(this.byAddress, address, change);
  }

  /** The same for what is known of its account. */
  countOwner(address: string, owner: string | undefined, change: 1 | -1): void {
    if (owner === undefined) add(this.unauthenticated, address, change);
    else add(this.byUser, owner, change);
  }

  /** @throws TooManyConnections when an account has no place left. */
  refuseAccount(userId: string): void {
    this.refuseIf('account', this.byUser.get(userId), this.config.REALTIME_MAX_CONNECTIONS_PER_USER);
  }

  /** @param max - 0 is no limit. */
  private refuseIf(limit: Limit, count = 0, max: number): void {
    if (max === 0 || count < max) return;
    this.metrics.refused(limit);
    throw new TooManyConnections(limit);
  }
}

/** One place among the live connections. */
export class Place {
  private isReleased = false;

  constructor(
    private readonly limits: ConnectionLimits,
    private readonly address: string,
    private owner: string | undefined,
  ) {
    limits.count(address, 1);
    limits.countOwner(address, owner, 1);
  }

  /** Counts it for an account, once. @throws TooManyConnections */
  assign(userId: string): void {
    if (this.owner !== undefined || this.isReleased) return;
    this.limits.refuseAccount(userId);
    this.limits.countOwner(this.address, undefined, -1);
    this.limits.countOwner(this.address, userId, 1);
    this.owner = userId;
  }

  /** Gives it back; more than once is once. */
  release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.limits.count(this.address, -1);
    this.limits.countOwner(this.address, this.owner, -1);
  }
}

function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
