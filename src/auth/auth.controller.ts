import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import type { z } from 'zod';
import { Documented } from '../common/documented.js';
import { messageView } from '../common/fields.js';
import { CurrentPrincipal, Public, type Principal } from '../common/principal.js';
import {
  credentials,
  forgotBody,
  loginAnswer,
  mfaBody,
  refreshBody,
  resetBody,
  tokenPair,
  verifyBody,
  type LoginAnswer,
  type TokenPair,
} from './auth.schemas.js';
import { AuthService } from './auth.service.js';
import { EmailVerification } from './email-verification.service.js';
import { PasswordReset } from './password-reset.service.js';

type Message = z.infer<typeof messageView>;

/** When a password is refused as new. */
const POLICY = 'The body is no JSON, or the password breaks the policy.';
const LOCKED = 'The address is locked after too many failures (with `Retry-After`), or the account is banned.';
const BAD_TOKEN = 'The token is not valid, has expired or was used.';

/** The ways in and out. */
@Controller('auth')
export class AuthController {
  constructor(
    private readonly auth: AuthService,
    private readonly verification: EmailVerification,
    private readonly passwords: PasswordReset,
  ) {}

  @Public()
  @Post('register')
  @Documented({
    summary: 'Create an account and log in',
    answer: tokenPair,
    errors: { BAD_REQUEST: POLICY, CONFLICT: 'The address is taken.' },
  })
  register(@Body({ schema: credentials }) { email, password }: z.infer<typeof credentials>): Promise<TokenPair> {
    return this.auth.register(email, password);
  }

  @Public()
  @Post('login')
  @HttpCode(200)
  @Documented({
    summary: 'Log in',
    description:
      'Where a second factor is on, the answer holds `mfaToken` instead of tokens: see `POST /auth/mfa/verify`.',
    answer: loginAnswer,
    errors: { UNAUTHORIZED: 'The address or the password is wrong.', FORBIDDEN: LOCKED },
  })
  login(@Body({ schema: credentials }) { email, password }: z.infer<typeof credentials>): Promise<LoginAnswer> {
    return this.auth.login(email, password);
  }

  @Public()
  @Post('mfa/verify')
  @HttpCode(200)
  @Documented({
    summary: 'Complete a login with the second factor',
    answer: tokenPair,
    errors: { UNAUTHORIZED: 'The token is not valid, or the code is wrong.', FORBIDDEN: LOCKED },
  })
  verifyMfa(@Body({ schema: mfaBody }) { mfaToken, code }: z.infer<typeof mfaBody>): Promise<TokenPair> {
    return this.auth.verifyMfa(mfaToken, code);
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  @Documented({
    summary: 'Trade a refresh token for a new pair',
    description: 'A refresh token works once. One that comes again later ends its session.',
    answer: tokenPair,
    errors: { UNAUTHORIZED: BAD_TOKEN },
  })
  refresh(@Body({ schema: refreshBody }) { refreshToken }: z.infer<typeof refreshBody>): Promise<TokenPair> {
    return this.auth.refresh(refreshToken);
  }

  @Post('logout')
  @HttpCode(204)
  @Documented({ summary: 'End a session by its refresh token' })
  async logout(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: refreshBody }) { refreshToken }: z.infer<typeof refreshBody>,
  ): Promise<void> {
    await this.auth.logout(principal, refreshToken);
  }

  @Public()
  @Post('verify-email')
  @HttpCode(200)
  @Documented({
    summary: 'Verify an email address by the mailed token',
    answer: messageView,
    errors: { UNAUTHORIZED: BAD_TOKEN },
  })
  async verifyEmail(@Body({ schema: verifyBody }) { token }: z.infer<typeof verifyBody>): Promise<Message> {
    await this.verification.verify(token);
    return { message: 'The email address is verified' };
  }

  @Post('resend-verification')
  @HttpCode(200)
  @Documented({ summary: 'Mail a new token to verify the own address', answer: messageView })
  async resendVerification(@CurrentPrincipal() { userId }: Principal): Promise<Message> {
    await this.verification.resend(userId);
    return { message: 'Unless the address is verified already, a mail is on its way' };
  }

  @Public()
  @Post('forgot-password')
  @HttpCode(200)
  @Documented({
    summary: 'Mail a token to reset a password',
    description: 'The answer is the same whether or not the address has an account.',
    answer: messageView,
  })
  async forgotPassword(@Body({ schema: forgotBody }) { email }: z.infer<typeof forgotBody>): Promise<Message> {
    await this.passwords.request(email);
    return { message: 'If the address has an account, a mail is on its way' };
  }

  @Public()
  @Post('reset-password')
  @HttpCode(200)
  @Documented({
    summary: 'Set a new password by the mailed token',
    description: 'Ends every session of the account.',
    answer: messageView,
    errors: { BAD_REQUEST: POLICY, UNAUTHORIZED: BAD_TOKEN },
  })
  async resetPassword(@Body({ schema: resetBody }) { token, password }: z.infer<typeof resetBody>): Promise<Message> {
    await this.passwords.reset(token, password);
    return { message: 'The password is changed, and every session has ended' };
  }
}
