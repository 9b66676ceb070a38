import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { AppError } from '../common/app-error.js';
import type { Role } from '../common/principal.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { EventBus } from '../events/event-bus.js';
import { SessionsService } from './sessions.service.js';
import { User } from './user.entity.js';
import { UsersService } from './users.service.js';

/** Which accounts to list. */
export interface UserQuery {
  /** A part of the address. */
  search?: string | undefined;
  role?: Role | undefined;
  /** The last account of the page before. */
  after?: { createdAt: number; id: string } | undefined;
  limit: number;
}

/** What admins do to other people's accounts. */
@Injectable()
export class AccountAdministration {
  constructor(
    @InjectRepository(User) private readonly users: Repository<User>,
    private readonly accounts: UsersService,
    private readonly sessions: SessionsService,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
  ) {}

  /** Lists accounts for an admin, the newest first. */
  async list({ search, role, after, limit }: UserQuery): Promise<{ users: User[]; total: number }> {
    const query = this.users.createQueryBuilder('user');
    if (role) query.andWhere({ role });
    if (search !== undefined) {
      const pattern = `%${search.toLowerCase().replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
      query.andWhere(`user.email LIKE :pattern ESCAPE '\\'`, { pattern });
    }
    const total = await query.getCount();
    if (after) {
      query.andWhere('(user.createdAt < :createdAt OR (user.createdAt = :createdAt AND user.id < :id))', after);
    }
    const users = await query.orderBy('user.createdAt', 'DESC').addOrderBy('user.id', 'DESC').limit(limit).getMany();
    return { users, total };
  }

  /**
   * Gives an account another role and publishes `user.updated`; it works on live tokens at once.
   *
   * @throws AppError NOT_FOUND; FORBIDDEN for oneself; CONFLICT for the last admin.
   */
  async setRole(id: string, role: Role, actorId: string): Promise<User> {
    return this.administer(id, actorId, 'role', async (tx, user) => {
      if (user.role === role) return undefined;
      await tx.update(User, { id }, { role, updatedAt: Date.now() });
      return { from: user.role, to: role };
    });
  }

  /**
   * Bans an account: every session ends, and nobody logs in until it is unbanned. Publishes `user.updated`.
   *
   * @throws AppError as {@link setRole}
   */
  async ban(id: string, reason: string, actorId: string): Promise<User> {
    return this.administer(id, actorId, 'status', async (tx) => {
      const now = Date.now();
      await tx.update(User, { id }, { bannedAt: now, banReason: reason, updatedAt: now });
      await this.sessions.endAll(id);
      return { banned: true, reason };
    });
  }

  /** Lifts a ban and publishes `user.updated`. @throws AppError NOT_FOUND */
  async unban(id: string): Promise<User> {
    return this.unitOfWork.run(async (tx) => {
      const user = await this.take(id);
      if (user.bannedAt === null) return user;
      await tx.update(User, { id }, { bannedAt: null, banReason: null, updatedAt: Date.now() });
      await this.events.publish('user.updated', { userId: id, fields: ['status'] }, { banned: false });
      return this.accounts.get(id);
    });
  }

  /** Deletes an account by an admin's hand. @throws AppError as {@link setRole} */
  async deleteOther(id: string, actorId: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await this.refuseSelfAndLastAdmin(tx, await this.take(id), actorId);
      await this.accounts.delete(id);
    });
  }

  /**
   * Changes what belongs to admins alone, where they may, and publishes which field it was.
   *
   * @param change - returns what the audit trail says of it; undefined when nothing had to change.
   */
  private async administer(
    id: string,
    actorId: string,
    field: 'role' | 'status',
    change: (tx: EntityManager, user: User) => Promise<Record<string, unknown> | undefined>,
  ): Promise<User> {
    return this.unitOfWork.run(async (tx) => {
      const user = await this.take(id);
      await this.refuseSelfAndLastAdmin(tx, user, actorId);
      const details = await change(tx, user);
      if (details) await this.events.publish('user.updated', { userId: id, fields: [field] }, details);
      return this.accounts.get(id);
    });
  }

  private async take(id: string): Promise<User> {
    await this.accounts.hold(id);
    return this.accounts.get(id);
  }

  private async refuseSelfAndLastAdmin(tx: EntityManager, user: User, actorId: string): Promise<void> {
    if (user.id === actorId) {
      const message = 'Nobody can do this to themselves: ask another admin';
      throw new AppError('FORBIDDEN', message, [{ code: 'ACCOUNT_OWN', message }]);
    }
    await this.accounts.refuseLastAdmin(tx, user);
  }
}
