import { randomBytes } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { LessThan, MoreThan, type Repository } from 'typeorm';
import { sha256 } from '../common/sha256.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { SecretCipher } from '../database/secret-cipher.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { UsersService } from '../users/users.service.js';
import { OneTimeToken, type TokenPurpose } from './one-time-token.entity.js';

const HOUR_MS = 3_600_000;
const LIFETIME_MS: Record<TokenPurpose, number> = { 'verify-email': 24 * HOUR_MS, 'reset-password': HOUR_MS };
const TOKEN_BYTES = 32;

/** Whom a token belongs to. */
export interface TokenHolder {
  userId: string;
  email: string;
}

/** Issues the tokens that travel by mail, 256 bits each, and takes each back once. */
@Injectable()
export class OneTimeTokens implements OnModuleInit {
  constructor(
    @InjectRepository(OneTimeToken) private readonly tokens: Repository<OneTimeToken>,
    private readonly unitOfWork: UnitOfWork,
    private readonly users: UsersService,
    private readonly cipher: SecretCipher,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.register('one-time tokens', () =>
      this.unitOfWork.run((tx) => tx.delete(OneTimeToken, { expiresAt: LessThan(Date.now()) })),
    );
  }

  /**
   * Issues a token with the caller's unit of work, in which the account is held; an earlier one of the same purpose stops
   * working.
   *
   * @returns the token sealed for the mail that carries it, so that it stands readable neither in a job nor in an answer.
   */
  async issue(purpose: TokenPurpose, { userId, email }: TokenHolder): Promise<{ sealedToken: string; owner: string }> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    await this.unitOfWork.run(async (tx) => {
      await tx.delete(OneTimeToken, { userId, purpose });
      const expiresAt = Date.now() + LIFETIME_MS[purpose];
      await tx.insert(OneTimeToken, { hash: sha256(token), userId, purpose, email, expiresAt });
    });
    return { sealedToken: this.cipher.encrypt(token, userId), owner: userId };
  }

  /** Says whom a token belongs to, without using it up; undefined when it is unknown, used or expired. */
  async peek(purpose: TokenPurpose, token: string): Promise<TokenHolder | undefined> {
    return (
      (await this.tokens.findOneBy({ hash: sha256(token), purpose, expiresAt: MoreThan(Date.now()) })) ?? undefined
    );
  }

  /**
   * Uses a token up with the caller's unit of work, in which its account is held from there on; undefined when it is
   * unknown, used or expired.
   */
  async consume(purpose: TokenPurpose, token: string): Promise<TokenHolder | undefined> {
    return this.unitOfWork.run(async (tx) => {
      const hash = sha256(token);
      const found = await tx.findOneBy(OneTimeToken, { hash, purpose, expiresAt: MoreThan(Date.now()) });
      if (!found) return undefined;
      await this.users.hold(found.userId);
      // Of two that bring it at once, one removes it.
      const { affected } = await tx.delete(OneTimeToken, { hash });
      return affected === 1 ? found : undefined;
    });
  }
}
