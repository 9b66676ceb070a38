import { Injectable, Logger } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import type { Principal } from '../common/principal.js';
import { currentRequestContext } from '../common/request-context.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from '../events/event-bus.js';
import { PasswordHasher } from '../users/password-hasher.js';
import { SessionsService } from '../users/sessions.service.js';
import { UsersService } from '../users/users.service.js';
import { AccessTokensService } from './access-tokens.service.js';
import { LockoutService } from './lockout.service.js';
import { RefreshTokensService } from './refresh-tokens.service.js';

/** What a completed login, registration or refresh answers with. */
export interface TokenPair {
  accessToken: string;
  refreshToken: string;
}

/** Registers, logs in and out, and keeps sessions going. */
@Injectable()
export class AuthService {
  private readonly logger = new Logger(AuthService.name);

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
    private readonly passwords: PasswordHasher,
    private readonly lockouts: LockoutService,
    private readonly accessTokens: AccessTokensService,
    private readonly refreshTokens: RefreshTokensService,
  ) {}

  /** Creates an account and logs it in. It publishes `user.registered` alone. @throws AppError as UsersService.create */
  async register(email: string, password: string): Promise<TokenPair> {
    const passwordHash = await this.users.hashNew(password, email);
    return this.unitOfWork.run(async () => {
      const user = await this.users.insert(email, passwordHash);
      return this.startSession(user.id);
    });
  }

  /**
   * Logs in with a password; publishes `login.success` or `login.failed`, and what that means for the lock.
   *
   * The password is compared in every case, also for an unknown or locked address, so that the time tells nothing.
   *
   * @throws AppError UNAUTHORIZED for a wrong pair; FORBIDDEN while locked, and to the right password of a banned account.
   */
  async login(email: string, password: string): Promise<TokenPair> {
    const known = await this.users.findWithPassword(email);
    const matches = await this.passwords.verify(known?.passwordHash, password);
    const outcome = await this.unitOfWork.run(async (): Promise<TokenPair | AppError> => {
      const now = Date.now();
      const lockedUntil = await this.lockouts.lockedUntil(email, now);
      if (lockedUntil !== undefined) return this.fail(email, locked(lockedUntil, now));
      // Read again: the password may have been changed, or the account deleted, while the hash was compared.
      const user = await this.users.findWithPassword(email);
      if (!user || !matches || user.passwordHash !== known?.passwordHash) return this.failAttempt(email, now);
      if (user.bannedAt !== null) return this.fail(email, banned());
      await this.lockouts.recordSuccess(email);
      const pair = await this.startSession(user.id);
      await this.events.publish('login.success', { userId: user.id, email });
      return pair;
    });
    // A refusal is an outcome to commit, with its events and counters; thrown inside, it would roll them back.
    if (outcome instanceof AppError) throw outcome;
    return outcome;
  }

  /** Trades a refresh token for a new pair. @throws AppError UNAUTHORIZED; a used token ends the session as well. */
  async refresh(refreshToken: string): Promise<TokenPair> {
    const rotation = await this.refreshTokens.rotate(refreshToken);
    if (rotation.outcome === 'rotated') {
      const owner = await this.sessions.findOwner(rotation.sessionId);
      if (owner) {
        const accessToken = this.accessTokens.sign(owner.userId, owner.sessionId);
        return { accessToken, refreshToken: rotation.token };
      }
    }
    if (rotation.outcome === 'reused') this.logger.warn('a used refresh token was presented: ended its session');
    throw new AppError('UNAUTHORIZED', 'The refresh token is not valid or has expired');
  }

  /** Ends the caller's session and publishes `logout`. @throws AppError UNAUTHORIZED for another session's token. */
  async logout({ userId, sessionId }: Principal, refreshToken: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      if (!(await this.refreshTokens.belongsTo(refreshToken, sessionId))) {
        throw new AppError('UNAUTHORIZED', 'The refresh token does not belong to this session');
      }
      await this.sessions.end(sessionId);
      await this.events.publish('logout', { userId });
    });
  }

  private async startSession(userId: string): Promise<TokenPair> {
    const { id } = await this.sessions.start(userId);
    // So that the events of this unit name the session they began.
    const origin = currentRequestContext();
    if (origin) Object.assign(origin, { actorId: userId, sessionId: id });
    return { accessToken: this.accessTokens.sign(userId, id), refreshToken: await this.refreshTokens.issue(id) };
  }

  private async failAttempt(email: string, now: number): Promise<AppError> {
    await this.events.publish('login.failed', { email });
    const lockedUntil = await this.lockouts.recordFailure(email, now);
    return lockedUntil === undefined
      ? new AppError('UNAUTHORIZED', 'The email address or the password is wrong')
      : locked(lockedUntil, now);
  }

  private async fail(email: string, error: AppError): Promise<AppError> {
    await this.events.publish('login.failed', { email });
    return error;
  }
}

function locked(until: number, now: number): AppError {
  const seconds = Math.max(1, Math.ceil((until - now) / 1000));
  const message = 'The account is locked after too many failed logins';
  return new AppError('FORBIDDEN', message, [{ code: 'ACCOUNT_LOCKED', message }], seconds);
}

function banned(): AppError {
  const message = 'The account is banned';
  return new AppError('FORBIDDEN', message, [{ code: 'ACCOUNT_BANNED', message }]);
}
