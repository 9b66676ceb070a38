import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, type EntityManager, type Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';
import { FormerPassword } from './password-history.entity.js';
import { PasswordHasher } from './password-hasher.js';
import { checkPassword } from './password-policy.js';

/** Decides which new passwords are accepted, and remembers the ones before. */
@Injectable()
export class NewPasswords {
  constructor(
    @InjectRepository(FormerPassword) private readonly former: Repository<FormerPassword>,
    private readonly hasher: PasswordHasher,
    private readonly config: Config,
  ) {}

  /**
   * Checks a new password against the policy and hashes it; slow on purpose, so never inside a unit of work.
   *
   * @param owner - the account that has one already: none of its last `PASSWORD_HISTORY` passwords is accepted.
   * @throws AppError BAD_REQUEST that lists what is wrong with it.
   */
  async hash(password: string, email: string, owner?: { id: string; passwordHash: string }): Promise<string> {
    const { PASSWORD_REQUIRE_LOWER: lower, PASSWORD_REQUIRE_UPPER: upper, PASSWORD_REQUIRE_DIGIT: digit } = this.config;
    checkPassword(password, email, { lower, upper, digit, words: this.config.PASSWORD_WORDS });
    if (owner) await this.refuseFormer(password, owner);
    return this.hasher.hash(password);
  }

  /** Remembers, with the caller's unit of work, a password that is replaced. */
  async remember(tx: EntityManager, userId: string, replaced: string): Promise<void> {
    const kept = this.config.PASSWORD_HISTORY - 1;
    if (kept > 0) await tx.insert(FormerPassword, { userId, hash: replaced });
    const past = await tx.find(FormerPassword, {
      where: { userId },
      order: { id: 'DESC' },
      skip: Math.max(0, kept),
      take: 100,
    });
    if (past.length > 0) await tx.delete(FormerPassword, { id: In(past.map(({ id }) => id)) });
  }

  private async refuseFormer(
    password: string,
    { id, passwordHash }: { id: string; passwordHash: string },
  ): Promise<void> {
    const { PASSWORD_HISTORY: count } = this.config;
    if (count === 0) return;
    const past = await this.former.find({ where: { userId: id }, order: { id: 'DESC' }, take: count - 1 });
    for (const hash of [passwordHash, ...past.map((former) => former.hash)]) {
      if (!(await this.hasher.verify(hash, password))) continue;
      const message = `The password must not be one of the last ${count}`;
      const details = [{ field: 'password', code: 'PASSWORD_REUSED', message }];
      throw new AppError('BAD_REQUEST', 'The password does not meet the policy', details);
    }
  }
}
