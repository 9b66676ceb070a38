import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ApiKeyLookup } from './api-key-lookup.js';
import { FirstAdmin } from './first-admin.service.js';
import { MeController } from './me.controller.js';
import { MySessionsController } from './my-sessions.controller.js';
import { NewPasswords } from './new-passwords.service.js';
import { PasswordHasher } from './password-hasher.js';
import { FormerPassword } from './password-history.entity.js';
import { SecondFactor } from './second-factor.js';
import { Session } from './session.entity.js';
import { SessionsService } from './sessions.service.js';
import { User } from './user.entity.js';
import { UsersService } from './users.service.js';

/** Accounts, their sessions and their passwords. */
@Module({
  imports: [TypeOrmModule.forFeature([User, Session, FormerPassword])],
  controllers: [MeController, MySessionsController],
  providers: [ApiKeyLookup, SecondFactor, UsersService, SessionsService, PasswordHasher, NewPasswords, FirstAdmin],
  exports: [ApiKeyLookup, SecondFactor, UsersService, SessionsService, PasswordHasher],
})
export class UsersModule {}
