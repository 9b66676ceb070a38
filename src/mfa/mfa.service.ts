import { randomInt } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { generateSecret, generateURI, verifySync } from 'otplib';
import { toDataURL } from 'qrcode';
import { IsNull, LessThan, Not, type EntityManager } from 'typeorm';
import { AppError } from '../common/app-error.js';
import { sha256 } from '../common/sha256.js';
import { SecretCipher } from '../database/secret-cipher.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { Reauthentication } from '../users/reauthentication.service.js';
import { SecondFactor, type Factor } from '../users/second-factor.js';
import { SessionsService } from '../users/sessions.service.js';
import { UsersService } from '../users/users.service.js';
import { RecoveryCode, TotpFactor } from './totp-factor.entity.js';

const ISSUER = 'Herald';
/** How far the clock of an authenticator may be off, in seconds: one step either way (RFC 6238 §5.2). */
const TOLERANCE_SECONDS = 30;
const RECOVERY_CODES = 10;
/** No vowels, and nothing that is read as something else: 114 bits in 24 characters, so that a plain hash is enough. */
const ALPHABET = 'bcdfghjkmnpqrstvwxz23456789';
/** A login as recent as this has just proven the password. */
const FRESH_LOGIN_MS = 15 * 60_000;

/** Second factors: an authenticator app, and the codes for the day it is lost. */
@Injectable()
export class MfaService implements OnModuleInit {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly users: UsersService,
    private readonly sessions: SessionsService,
    private readonly cipher: SecretCipher,
    private readonly secondFactor: SecondFactor,
    private readonly reauthentication: Reauthentication,
    private readonly trail: AuditTrail,
  ) {}

  onModuleInit(): void {
    this.secondFactor.use((userId, code) => this.verify(userId, code));
  }

  /**
   * Begins to set an app up. It counts for nothing until {@link enable} has seen a code of it; beginning anew forgets
   * the secret before.
   *
   * @throws AppError CONFLICT when a second factor is on already.
   */
  async setUp(userId: string): Promise<{ secret: string; uri: string; qrCode: string }> {
    const secret = generateSecret();
    const { email } = await this.unitOfWork.run(async (tx) => {
      await this.users.hold(userId);
      const user = await this.users.get(userId);
      if (await tx.existsBy(TotpFactor, { userId, confirmedAt: Not(IsNull()) })) throw alreadyOn();
      await tx.upsert(
        TotpFactor,
        { userId, secret: this.cipher.encrypt(secret, userId), confirmedAt: null, lastStep: null },
        ['userId'],
      );
      await this.trail.record('mfa.setup_started', { subject: userId });
      return user;
    });
    const uri = generateURI({ issuer: ISSUER, label: email, secret });
    return { secret, uri, qrCode: await toDataURL(uri) };
  }

  /**
   * Turns the second factor on, once a code shows that the app has the secret; publishes `mfa.enabled`.
   *
   * @returns the recovery codes, which are never shown again.
   * @throws AppError UNAUTHORIZED for a wrong code, or a secret that is not the one being set up; CONFLICT when it is on.
   */
  async enable(userId: string, secret: string, code: string): Promise<string[]> {
    const codes = Array.from({ length: RECOVERY_CODES }, newRecoveryCode);
    await this.unitOfWork.run(async (tx) => {
      await this.users.hold(userId);
      const factor = await tx.findOneBy(TotpFactor, { userId });
      if (factor && factor.confirmedAt !== null) throw alreadyOn();
      if (!factor || this.cipher.decrypt(factor.secret, userId) !== secret) throw wrongCode();
      if (!(await this.useTotp(tx, factor, code))) throw wrongCode();
      await tx.update(TotpFactor, { userId }, { confirmedAt: Date.now() });
      await tx.delete(RecoveryCode, { userId });
      await tx.insert(
        RecoveryCode,
        codes.map((recoveryCode) => ({ hash: hashOf(userId, recoveryCode), userId })),
      );
      await this.users.setMfa(userId, true);
    });
    return codes;
  }

  /**
   * Turns the second factor off with a code, and the password unless the session has just begun; publishes `mfa.disabled`.
   *
   * @throws AppError UNAUTHORIZED for a wrong code or password, which count like failed logins; FORBIDDEN while locked;
   * VALIDATION without the password where it is needed; CONFLICT when no second factor is on.
   */
  async disable(userId: string, sessionId: string, code: string, password: string | undefined): Promise<void> {
    const user = await this.users.findByIdWithPassword(userId);
    if (!user?.mfaEnabled) throw new AppError('CONFLICT', 'No second factor is on');
    if (password !== undefined) await this.users.confirmPassword(user, password);
    else if (!(await this.sessions.beganAfter(sessionId, Date.now() - FRESH_LOGIN_MS))) {
      const message = 'Turning the second factor off needs the password as well';
      throw new AppError('VALIDATION', message, [{ field: 'password', message }]);
    }
    await this.reauthentication.confirm(user, () => this.turnOff(userId, code), 'The code is wrong');
  }

  /** Turns the second factor off if the code is right. */
  private async turnOff(userId: string, code: string): Promise<boolean> {
    return this.unitOfWork.run(async (tx) => {
      if (!(await this.verify(userId, code))) return false;
      await tx.delete(TotpFactor, { userId });
      await tx.delete(RecoveryCode, { userId });
      await this.users.setMfa(userId, false);
      return true;
    });
  }

  /** Accepts a code of the app or a recovery code, once, with the caller's unit of work. */
  private async verify(userId: string, code: string): Promise<Factor | undefined> {
    return this.unitOfWork.run(async (tx) => {
      const factor = await tx.findOneBy(TotpFactor, { userId, confirmedAt: Not(IsNull()) });
      if (!factor) return undefined;
      if (await this.useTotp(tx, factor, code)) return 'totp';
      const { affected } = await tx.delete(RecoveryCode, { hash: hashOf(userId, code) });
      return affected === 1 ? 'recovery code' : undefined;
    });
  }

  /** Compares, and sets the step: of the same code twice, also at once, one is accepted (RFC 6238 §5.2). */
  private async useTotp(tx: EntityManager, { userId, secret }: TotpFactor, code: string): Promise<boolean> {
    if (!/^\d{6}$/.test(code)) return false;
    const options = { secret: this.cipher.decrypt(secret, userId), token: code, epochTolerance: TOLERANCE_SECONDS };
    const result = verifySync(options);
    if (!result.valid || !('timeStep' in result)) return false;
    const step = { lastStep: result.timeStep };
    const first = await tx.update(TotpFactor, { userId, lastStep: IsNull() }, step);
    if (first.affected === 1) return true;
    const later = await tx.update(TotpFactor, { userId, lastStep: LessThan(result.timeStep) }, step);
    return later.affected === 1;
  }
}

function newRecoveryCode(): string {
  const group = () => Array.from({ length: 4 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return Array.from({ length: 6 }, group).join('-');
}

/** Case and hyphens are a matter of typing. */
function hashOf(userId: string, code: string): string {
  const plain = code.toLowerCase().replaceAll(/[\s-]/g, '');
  return sha256(`${userId}:${plain}`);
}

function wrongCode(): AppError {
  return new AppError('UNAUTHORIZED', 'The code is wrong');
}

function alreadyOn(): AppError {
  return new AppError('CONFLICT', 'A second factor is on already: turn it off first');
}
