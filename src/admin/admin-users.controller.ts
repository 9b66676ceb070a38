import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import type { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { userId as accountId } from '../common/fields.js';
import { toPage } from '../common/pagination.js';
import { AllowScope, CurrentPrincipal, Roles, type Principal } from '../common/principal.js';
import { AccountAdministration } from '../users/account-administration.service.js';
import { LockoutService } from '../users/lockout.service.js';
import type { User } from '../users/user.entity.js';
import { UsersService } from '../users/users.service.js';
import {
  accountPage,
  accountView,
  banBody,
  createBody,
  listQuery,
  roleBody,
  type AccountView,
} from './admin-users.schemas.js';

const LAST = 'It is the last admin.';
const OWN = 'The caller is no admin, or it is the own account.';

/** Other people's accounts, for admins. */
@Roles('admin')
@AllowScope('users:manage')
@Controller('admin/users')
export class AdminUsersController {
  constructor(
    private readonly users: UsersService,
    private readonly administration: AccountAdministration,
    private readonly lockouts: LockoutService,
  ) {}

  @AllowScope('users:read')
  @Get()
  @Documented({ summary: 'List and search accounts, the newest first', answer: accountPage })
  async list(
    @Query({ schema: listQuery }) { after, limit, ...filter }: z.infer<typeof listQuery>,
  ): Promise<z.infer<typeof accountPage>> {
    const cursor = after === undefined ? undefined : parseCursor(after);
    const { users, total } = await this.administration.list({ ...filter, after: cursor, limit: limit + 1 });
    return { ...toPage(await this.toViews(users), limit, cursorOf), total };
  }

  @Post()
  @Documented({
    summary: 'Create an account',
    answer: accountView,
    errors: {
      BAD_REQUEST: 'The body is no JSON, or the password breaks the policy.',
      CONFLICT: 'The address is taken.',
    },
  })
  async create(
    @Body({ schema: createBody }) { email, password, role: wanted }: z.infer<typeof createBody>,
  ): Promise<AccountView> {
    const { id } = await this.users.create(email, password, wanted);
    return this.one(id);
  }

  @AllowScope('users:read')
  @Get(':id')
  @Documented({ summary: 'Read an account', params: { id: accountId }, answer: accountView })
  async one(@Param('id') id: string): Promise<AccountView> {
    return this.toView(await this.users.get(id));
  }

  @Patch(':id/role')
  @Documented({
    summary: 'Change the role of an account',
    params: { id: accountId },
    answer: accountView,
    errors: { FORBIDDEN: OWN, CONFLICT: LAST },
  })
  async setRole(
    @Param('id') id: string,
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: roleBody }) body: z.infer<typeof roleBody>,
  ): Promise<AccountView> {
    return this.toView(await this.administration.setRole(id, body.role, userId));
  }

  @Post(':id/ban')
  @HttpCode(200)
  @Documented({
    summary: 'Ban an account',
    description: 'Ends its sessions and live connections; its keys stop working.',
    params: { id: accountId },
    answer: accountView,
    errors: { FORBIDDEN: OWN, CONFLICT: LAST },
  })
  async ban(
    @Param('id') id: string,
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: banBody }) { reason }: z.infer<typeof banBody>,
  ): Promise<AccountView> {
    return this.toView(await this.administration.ban(id, reason, userId));
  }

  @Post(':id/unban')
  @HttpCode(200)
  @Documented({ summary: 'Lift a ban', params: { id: accountId }, answer: accountView })
  async unban(@Param('id') id: string): Promise<AccountView> {
    return this.toView(await this.administration.unban(id));
  }

  @Post(':id/unlock')
  @HttpCode(200)
  @Documented({ summary: 'End the lock of an address', params: { id: accountId }, answer: accountView })
  async unlock(@Param('id') id: string): Promise<AccountView> {
    await this.lockouts.unlock(await this.users.get(id));
    return this.one(id);
  }

  @Delete(':id')
  @HttpCode(204)
  @Documented({
    summary: 'Delete an account',
    params: { id: accountId },
    errors: { FORBIDDEN: OWN, CONFLICT: LAST },
  })
  async delete(@Param('id') id: string, @CurrentPrincipal() { userId }: Principal): Promise<void> {
    await this.administration.deleteOther(id, userId);
  }

  private async toView(user: User): Promise<AccountView> {
    const [view] = await this.toViews([user]);
    return view as AccountView;
  }

  private async toViews(users: User[]): Promise<AccountView[]> {
    const emails = users.map(({ email }) => email);
    const locks = await this.lockouts.locks(emails, Date.now());
    return users.map(
      ({ id, email, role: has, emailVerified, mfaEnabled, bannedAt, banReason, createdAt, updatedAt }) => {
        const status = bannedAt === null ? 'active' : 'banned';
        const about = { id, email, role: has, status, emailVerified, mfaEnabled, bannedAt, banReason } as const;
        return { ...about, lockedUntil: locks.get(email) ?? null, createdAt, updatedAt };
      },
    );
  }
}

function cursorOf({ createdAt, id }: AccountView): string {
  return `${createdAt}.${id}`;
}

function parseCursor(text: string): { createdAt: number; id: string } {
  const [, createdAt, id] = /^(\d{1,16})\.([\w-]{1,64})$/.exec(text) ?? [];
  if (createdAt === undefined || id === undefined) {
    const message = 'This was never a cursor of this list';
    throw new AppError('VALIDATION', message, [{ field: 'after', code: 'CURSOR_UNKNOWN', message }]);
  }
  return { createdAt: Number(createdAt), id };
}
