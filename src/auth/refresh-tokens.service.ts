import { randomBytes } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { LessThan, type EntityManager } from 'typeorm';
import { sha256 } from '../common/sha256.js';
import { Config } from '../config/config.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import type { Session } from '../users/session.entity.js';
import { SessionsService } from '../users/sessions.service.js';
import { RefreshToken } from './refresh-token.entity.js';

/** How long the parent of a refresh token may come again: two tabs that refresh at once both get through. */
const PARENT_GRACE_MS = 10_000;

/** What presenting a refresh token led to. */
export type Rotation = { outcome: 'rotated'; token: string; session: Session } | { outcome: 'unknown' | 'reused' };

/**
 * Issues refresh tokens, trades each for the next once, and notices when one comes a second time.
 *
 * Rotation and reuse detection as in RFC 9700 §4.14.2: whoever presents a used token, thief or victim, ends the session.
 */
@Injectable()
export class RefreshTokensService implements OnModuleInit {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly sessions: SessionsService,
    private readonly config: Config,
    private readonly housekeeping: Housekeeping,
    private readonly trail: AuditTrail,
  ) {}

  onModuleInit(): void {
    this.housekeeping.register('refresh tokens', () =>
      this.unitOfWork.run((tx) => tx.delete(RefreshToken, { expiresAt: LessThan(Date.now()) })),
    );
  }

  /** Issues the first token of a session. */
  async issue(sessionId: string): Promise<string> {
    return this.unitOfWork.run((tx) => this.insert(tx, sessionId, null));
  }

  /** Trades a token for its successor; ends the session when the token had been used before. */
  async rotate(token: string): Promise<Rotation> {
    return this.unitOfWork.run(async (tx) => {
      await this.unitOfWork.lock(`refresh ${sha256(token)}`);
      const now = Date.now();
      const found = await this.findLive(tx, token, now);
      if (!found) return { outcome: 'unknown' };
      const { hash, sessionId, usedAt } = found;
      if (usedAt !== null && !(await this.isRecentParent(tx, hash, usedAt, now))) {
        // Another token of the family, or its owner, may have ended it in this moment.
        if (!(await this.sessions.end(sessionId))) return { outcome: 'unknown' };
        const { userId } = found.session;
        await this.trail.record('session.reused', { subject: userId, outcome: 'failure', details: { sessionId } });
        return { outcome: 'reused' };
      }
      // First of all: whoever ends the session in this moment does so before it, or waits for the new token.
      if (!(await this.sessions.prolong(found.session))) return { outcome: 'unknown' };
      if (usedAt === null) await tx.update(RefreshToken, { hash }, { usedAt: now });
      return { outcome: 'rotated', token: await this.insert(tx, sessionId, hash), session: found.session };
    });
  }

  /** Says whether a token, used or not, belongs to a session. */
  async belongsTo(token: string, sessionId: string): Promise<boolean> {
    return this.unitOfWork.run((tx) => tx.existsBy(RefreshToken, { hash: sha256(token), sessionId }));
  }

  /** Returns the session that goes on with a token; undefined for one that is unknown or has expired. */
  async sessionOf(token: string): Promise<Session | undefined> {
    return this.unitOfWork.run(async (tx) => (await this.findLive(tx, token, Date.now()))?.session);
  }

  private async findLive(tx: EntityManager, token: string, now: number): Promise<RefreshToken | undefined> {
    const found = await tx.findOne(RefreshToken, {
      where: { hash: sha256(token) },
      relations: { session: { user: true } },
    });
    const live =
      found && found.expiresAt > now && found.session.expiresAt > now && found.session.user.bannedAt === null;
    return live ? found : undefined;
  }

  /** The immediate parent, within its grace, none of whose children was used yet: another tab was just faster. */
  private async isRecentParent(tx: EntityManager, hash: string, usedAt: number, now: number): Promise<boolean> {
    if (now - usedAt > PARENT_GRACE_MS) return false;
    const children = await tx.findBy(RefreshToken, { parentHash: hash });
    return children.every((child) => child.usedAt === null);
  }

  private async insert(tx: EntityManager, sessionId: string, parentHash: string | null): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    const expiresAt = Date.now() + this.config.JWT_REFRESH_EXPIRES_IN;
    await tx.insert(RefreshToken, { hash: sha256(token), sessionId, parentHash, usedAt: null, expiresAt });
    return token;
  }
}
