import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccountAdministration } from './account-administration.service.js';
import { ApiKeyLookup } from './api-key-lookup.js';
import { FirstAdmin } from './first-admin.service.js';
import { LockoutService } from './lockout.service.js';
import { MeController } from './me.controller.js';
import { MySessionsController } from './my-sessions.controller.js';
import { NewPasswords } from './new-passwords.service.js';
import { OwnAccount } from './own-account.service.js';
import { PasswordHasher } from './password-hasher.js';
import { FormerPassword } from './password-history.entity.js';
import { Reauthentication } from './reauthentication.service.js';
import { SecondFactor } from './second-factor.js';
import { Session } from './session.entity.js';
import { SessionsService } from './sessions.service.js';
import { User } from './user.entity.js';
import { UsersService } from './users.service.js';

/** Accounts, their sessions, their passwords, and the locks on them. */
@Module({
  imports: [TypeOrmModule.forFeature([User, Session, FormerPassword])],
  controllers: [MeController, MySessionsController],
  providers: [
    ApiKeyLookup,
    SecondFactor,
    UsersService,
    OwnAccount,
    AccountAdministration,
    SessionsService,
    LockoutService,
    Reauthentication,
    PasswordHasher,
    NewPasswords,
    FirstAdmin,
  ],
  exports: [
    ApiKeyLookup,
    SecondFactor,
    UsersService,
    AccountAdministration,
    SessionsService,
    LockoutService,
    Reauthentication,
    PasswordHasher,
  ],
})
export class UsersModule {}
