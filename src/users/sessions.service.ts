import { randomUUID } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { LessThan, MoreThan, Not, type Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import type { Principal } from '../common/principal.js';
import { currentRequestContext } from '../common/request-context.js';
import { Config } from '../config/config.js';
import { HotQueries, type HotQuery } from '../database/hot-queries.service.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { Instances } from '../database/instances.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { EventBus } from '../events/event-bus.js';
import { Session } from './session.entity.js';

/** What a live session says about its owner. */
export type SessionOwner = Omit<Principal, 'expiresAt' | 'scopes'>;

/** Which sessions have ended: one, or all of an account's except perhaps one. */
export type EndedSessions = { sessionId: string } | { userId: string; exceptSessionId: string | undefined };

const OWNER_OF_SESSION = `
  SELECT owner.id AS "userId", owner.email AS "email", owner.role AS "role"
  FROM sessions JOIN users AS owner ON owner.id = sessions."userId"
  WHERE sessions.id = ? AND sessions."expiresAt" > ? AND owner."bannedAt" IS NULL`;

/** Owns the sessions: starts, finds and ends them, and tells whoever keeps connections open which have ended. */
@Injectable()
export class SessionsService implements OnModuleInit {
  private readonly findOwnerOf: HotQuery<Omit<SessionOwner, 'sessionId'>>;
  private readonly listeners = new Set<(ended: EndedSessions) => void>();

  constructor(
    @InjectRepository(Session) private readonly sessions: Repository<Session>,
    private readonly unitOfWork: UnitOfWork,
    private readonly config: Config,
    private readonly housekeeping: Housekeeping,
    private readonly events: EventBus,
    private readonly trail: AuditTrail,
    private readonly instances: Instances,
    hot: HotQueries,
  ) {
    this.findOwnerOf = hot.prepare(OWNER_OF_SESSION);
  }

  onModuleInit(): void {
    this.housekeeping.register('sessions', () => this.removeExpired(Date.now()));
    this.instances.onAnnounced('sessions', (ended) => this.tell(ended as EndedSessions));
  }

  /** Starts a session for an account, from the address and device of the current request. */
  async start(userId: string): Promise<Session> {
    const now = Date.now();
    const { ip = null, userAgent = null } = currentRequestContext() ?? {};
    const session = { id: randomUUID(), userId, ip, userAgent, createdAt: now, lastUsedAt: now };
    const expiresAt = this.endOf(session, now);
    return this.unitOfWork.run((tx) => tx.save(tx.create(Session, { ...session, expiresAt })));
  }

  /**
   * Prolongs a session whose refresh token is used, but not past `SESSION_MAX_LIFETIME`. It does not end before the current
   * unit of work has.
   *
   * @returns false when it has ended.
   */
  async prolong(session: Session): Promise<boolean> {
    const now = Date.now();
    const times = { lastUsedAt: now, expiresAt: this.endOf(session, now) };
    const { affected } = await this.unitOfWork.run((tx) => tx.update(Session, { id: session.id }, times));
    return affected === 1;
  }

  /** Returns the end of a session that is refreshed to the last, in epoch ms. */
  latestEndOf({ createdAt }: { createdAt: number }): number {
    return createdAt + this.config.SESSION_MAX_LIFETIME;
  }

  private endOf(session: { createdAt: number }, now: number): number {
    return Math.min(now + this.config.JWT_REFRESH_EXPIRES_IN, this.latestEndOf(session));
  }

  /** Returns the owner of a session that is going on; undefined when it has ended, expired, or its owner is banned. */
  async findOwner(sessionId: string): Promise<SessionOwner | undefined> {
    const [row] = await this.findOwnerOf(sessionId, Date.now());
    return row && { ...row, sessionId };
  }

  /** Ends one session. Its access tokens stop working with the commit. @returns false when it had ended before. */
  async end(sessionId: string): Promise<boolean> {
    return this.unitOfWork.run(async (tx) => {
      const { affected } = await tx.delete(Session, { id: sessionId });
      if (!affected) return false;
      await this.announceEnded({ sessionId });
      return true;
    });
  }

  /** Ends all sessions of an account, except perhaps the acting one. */
  async endAll(userId: string, exceptSessionId?: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await tx.delete(Session, { userId, ...(exceptSessionId !== undefined && { id: Not(exceptSessionId) }) });
      await this.announceEnded({ userId, exceptSessionId });
    });
  }

  /** Says whether a session began after a time, in epoch ms. */
  async beganAfter(sessionId: string, time: number): Promise<boolean> {
    return this.sessions.existsBy({ id: sessionId, createdAt: MoreThan(time) });
  }

  /** Lists the open sessions of an account, the one used last first. */
  async list(userId: string): Promise<Session[]> {
    return this.sessions.find({ where: { userId, expiresAt: MoreThan(Date.now()) }, order: { lastUsedAt: 'DESC' } });
  }

  /** Ends a session by its owner's hand and publishes `logout`. @throws AppError NOT_FOUND, for another's session too */
  async endOwn(userId: string, sessionId: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const { affected } = await tx.delete(Session, { id: sessionId, userId });
      if (!affected) throw noSuchSession();
      await this.announceEnded({ sessionId });
      await this.events.publish('logout', { userId });
    });
  }

  /** Ends every session of an account but one by its owner's hand, and publishes a `logout` for each. */
  async endOthers(userId: string, sessionId: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const live = { userId, id: Not(sessionId), expiresAt: MoreThan(Date.now()) };
      const { affected } = await tx.delete(Session, live);
      await this.endAll(userId, sessionId);
      for (let n = 0; n < (affected ?? 0); n += 1) await this.events.publish('logout', { userId });
    });
  }

  /** Ends one or all sessions of an account by an admin's hand. @throws AppError NOT_FOUND */
  async endByAdmin(userId: string, sessionId?: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const sessions = await tx.findBy(Session, { userId, ...(sessionId !== undefined && { id: sessionId }) });
      let ended = 0;
      for (const { id } of sessions) {
        if (!(await this.end(id))) continue;
        ended += 1;
        await this.trail.record('session.ended', { subject: userId, details: { sessionId: id } });
      }
      if (sessionId !== undefined && ended === 0) throw noSuchSession();
    });
  }

  /** Calls `listener` after every commit that ended sessions, in whichever instance. */
  onEnded(listener: (ended: EndedSessions) => void): void {
    this.listeners.add(listener);
  }

  /** Calls `listener` when sessions may have ended in another instance without this one having heard of it. */
  onMissed(listener: () => void): void {
    this.instances.onMissed(listener);
  }

  /** Tells, with the commit of the current unit and in every instance, which sessions, or what stood for one, have ended. */
  async announceEnded(ended: EndedSessions): Promise<void> {
    this.unitOfWork.afterCommit(() => this.tell(ended));
    await this.instances.announce('sessions', ended);
  }

  private tell(ended: EndedSessions): void {
    this.listeners.forEach((listener) => listener(ended));
  }

  private async removeExpired(now: number): Promise<void> {
    await this.unitOfWork.run((tx) => tx.delete(Session, { expiresAt: LessThan(now) }));
  }
}

function noSuchSession(): AppError {
  return new AppError('NOT_FOUND', 'There is no such session');
}
