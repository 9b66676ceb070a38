import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Config } from '../config/config.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { UsersModule } from '../users/users.module.js';
import { AccessTokensService, JWT_KEYS } from './access-tokens.service.js';
import { AccountLookup } from './account-lookup.service.js';
import { AuthController } from './auth.controller.js';
import { AuthGuard } from './auth.guard.js';
import { AuthService } from './auth.service.js';
import { Authenticator } from './authenticator.service.js';
import { EmailVerification } from './email-verification.service.js';
import { loadJwtKeys } from './jwt-keys.js';
import { OneTimeToken } from './one-time-token.entity.js';
import { OneTimeTokens } from './one-time-tokens.service.js';
import { PasswordReset } from './password-reset.service.js';
import { RefreshTokensService } from './refresh-tokens.service.js';
import { StreamTickets } from './stream-tickets.service.js';

/** Who is this? Login, tokens, and the guard in front of every route. */
@Module({
  imports: [
    UsersModule,
    JwtModule.register({}),
    TypeOrmModule.forFeature([OneTimeToken]),
    JobsModule.forFeature({ 'auth.forgot-password': {} }),
  ],
  controllers: [AuthController],
  providers: [
    { provide: JWT_KEYS, inject: [Config], useFactory: loadJwtKeys },
    { provide: APP_GUARD, useExisting: AuthGuard },
    AuthGuard,
    AuthService,
    AccessTokensService,
    RefreshTokensService,
    Authenticator,
    StreamTickets,
    AccountLookup,
    OneTimeTokens,
    EmailVerification,
    PasswordReset,
  ],
  exports: [AuthService, Authenticator, StreamTickets, AccountLookup],
})
export class AuthModule {}
