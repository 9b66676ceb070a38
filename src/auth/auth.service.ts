import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import type { Principal } from '../common/principal.js';
import { currentRequestContext } from '../common/request-context.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from '../events/event-bus.js';
import { lockedError, LockoutService } from '../users/lockout.service.js';
import { PasswordHasher } from '../users/password-hasher.js';
import { SecondFactor, type Factor } from '../users/second-factor.js';
import { SessionsService } from '../users/sessions.service.js';
import type { User } from '../users/user.entity.js';
import { UsersService } from '../users/users.service.js';
import { AccessTokensService } from './access-tokens.service.js';
import type { LoginAnswer, TokenPair } from './auth.schemas.js';
import { RefreshTokensService } from './refresh-tokens.service.js';

const WRONG_PAIR = 'The email address or the password is wrong';

/** Registers, logs in and out, and keeps sessions going. */
@Injectable()
export class AuthService {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
    private readonly passwords: PasswordHasher,
    private readonly lockouts: LockoutService,
    private readonly accessTokens: AccessTokensService,
    private readonly refreshTokens: RefreshTokensService,
    private readonly secondFactor: SecondFactor,
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
   * An account with a second factor is given a token to show it with, {@link verifyMfa}; the login is not complete then.
   *
   * @throws AppError UNAUTHORIZED for a wrong pair; FORBIDDEN while locked, and to the right password of a banned account.
   */
  async login(email: string, password: string): Promise<LoginAnswer> {
    const known = await this.users.findWithPassword(email);
    const matches = await this.passwords.verify(known?.passwordHash, password);
    const fresh = known && matches ? await this.passwords.rehash(known.passwordHash, password) : undefined;
    const outcome = await this.unitOfWork.run(async (): Promise<LoginAnswer | AppError> => {
      if (known) await this.users.hold(known.id);
      const now = Date.now();
      const lockedUntil = await this.lockouts.lockedUntil(email, now);
      if (lockedUntil !== undefined) return this.fail(email, 'locked', lockedError(lockedUntil, now));
      // Read again: the password may have been changed, or the account deleted, while the hash was compared.
      const user = await this.users.findWithPassword(email);
      if (!user || !matches || user.passwordHash !== known?.passwordHash)
        return this.failAttempt(email, now, 'password', WRONG_PAIR);
      if (user.bannedAt !== null) return this.fail(email, 'banned', banned());
      if (fresh !== undefined) {
        await this.users.replaceHash(user.id, user.passwordHash, fresh);
        user.passwordHash = fresh;
      }
      if (user.mfaEnabled) {
        return { mfaRequired: true, mfaToken: this.accessTokens.signMfa(user.id, nameOf(user.passwordHash)) };
      }
      return this.complete(user, 'password');
    });
    // A refusal is an outcome to commit, with its events and counters; thrown inside, it would roll them back.
    if (outcome instanceof AppError) throw outcome;
    return outcome;
  }

  /**
   * Completes a login with the second factor: a code of the app, or a recovery code. A wrong one counts like a wrong
   * password.
   *
   * @throws AppError UNAUTHORIZED for a wrong code or token; FORBIDDEN while locked or banned.
   */
  async verifyMfa(mfaToken: string, code: string): Promise<TokenPair> {
    const { userId, password } = this.accessTokens.verifyMfa(mfaToken);
    const outcome = await this.unitOfWork.run(async (): Promise<TokenPair | AppError> => {
      await this.users.hold(userId);
      const now = Date.now();
      const user = await this.users.findByIdWithPassword(userId);
      if (!user?.mfaEnabled || nameOf(user.passwordHash) !== password) {
        return new AppError('UNAUTHORIZED', 'The token is not valid or has expired');
      }
      const { email } = user;
      const lockedUntil = await this.lockouts.lockedUntil(email, now);
      if (lockedUntil !== undefined) return this.fail(email, 'locked', lockedError(lockedUntil, now));
      if (user.bannedAt !== null) return this.fail(email, 'banned', banned());
      const factor = await this.secondFactor.verify(userId, code);
      if (!factor) return this.failAttempt(email, now, 'code', 'The code is wrong');
      return this.complete(user, factor);
    });
    if (outcome instanceof AppError) throw outcome;
    return outcome;
  }

  /** Trades a refresh token for a new pair. @throws AppError UNAUTHORIZED; a used token ends the session as well. */
  async refresh(refreshToken: string): Promise<TokenPair> {
    const rotation = await this.refreshTokens.rotate(refreshToken);
    if (rotation.outcome === 'rotated') {
      const { session, token } = rotation;
      const owner = await this.sessions.findOwner(session.id);
      if (owner) {
        const accessToken = this.accessTokens.sign(owner.userId, session.id, this.sessions.latestEndOf(session));
        return { accessToken, refreshToken: token };
      }
    }
    throw new AppError('UNAUTHORIZED', 'The refresh token is not valid or has expired');
  }

  /** Ends the caller's session and publishes `logout`. @throws AppError UNAUTHORIZED for another session's token. */
  async logout({ userId, sessionId }: Principal, refreshToken: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      const belongs = await this.refreshTokens.belongsTo(refreshToken, sessionId);
      if (!belongs || !(await this.sessions.end(sessionId))) {
        throw new AppError('UNAUTHORIZED', 'The refresh token does not belong to this session');
      }
      await this.events.publish('logout', { userId });
    });
  }

  /** Ends the session that a refresh token belongs to and publishes `logout`; nothing for a token of no session. */
  async endSessionOf(refreshToken: string): Promise<void> {
    await this.unitOfWork.run(async () => {
      const session = await this.refreshTokens.sessionOf(refreshToken);
      if (!session) return;
      nameActor(session.userId, session.id);
      if (!(await this.sessions.end(session.id))) return;
      await this.events.publish('logout', { userId: session.userId });
    });
  }

  private async complete({ id, email }: User, factor: 'password' | Factor): Promise<TokenPair> {
    await this.lockouts.recordSuccess(email);
    const pair = await this.startSession(id);
    await this.events.publish('login.success', { userId: id, email }, { factor });
    return pair;
  }

  private async startSession(userId: string): Promise<TokenPair> {
    const session = await this.sessions.start(userId);
    const { id } = session;
    nameActor(userId, id);
    const accessToken = this.accessTokens.sign(userId, id, this.sessions.latestEndOf(session));
    return { accessToken, refreshToken: await this.refreshTokens.issue(id) };
  }

  private async failAttempt(email: string, now: number, wrong: string, message: string): Promise<AppError> {
    await this.events.publish('login.failed', { email }, { reason: `wrong ${wrong}` });
    const lockedUntil = await this.lockouts.recordFailure(email, now);
    return lockedUntil === undefined ? new AppError('UNAUTHORIZED', message) : lockedError(lockedUntil, now);
  }

  private async fail(email: string, reason: string, error: AppError): Promise<AppError> {
    await this.events.publish('login.failed', { email }, { reason });
    return error;
  }
}

/** Has the events of this request name who acts, where only what it brought has told. */
function nameActor(actorId: string, sessionId: string): void {
  const origin = currentRequestContext();
  if (origin) Object.assign(origin, { actorId, sessionId });
}

/** Names a password without telling anything of it. */
function nameOf(passwordHash: string): string {
  return createHash('sha256').update(passwordHash).digest('base64url').slice(0, 16);
}

function banned(): AppError {
  const message = 'The account is banned';
  return new AppError('FORBIDDEN', message, [{ code: 'ACCOUNT_BANNED', message }]);
}
