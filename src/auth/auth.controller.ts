import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { z } from 'zod';
import { CurrentPrincipal, Public, type Principal } from '../common/principal.js';
import { emailSchema, passwordSchema } from '../users/credentials.schema.js';
import { AuthService, type MfaRequired, type TokenPair } from './auth.service.js';
import { EmailVerification } from './email-verification.service.js';
import { PasswordReset } from './password-reset.service.js';

const credentials = z.strictObject({ email: emailSchema, password: passwordSchema });
const mfaBody = z.strictObject({ mfaToken: z.string().min(1).max(2048), code: z.string().min(1).max(32) });
const verifyBody = z.strictObject({ token: z.string().min(1).max(512) });
const forgotBody = z.strictObject({ email: emailSchema });
const resetBody = z.strictObject({ token: z.string().min(1).max(512), password: passwordSchema });
const refreshBody = z.strictObject({ refreshToken: z.string().min(1).max(512) });

/** An answer that says what happened, and nothing else. */
interface Message {
  message: string;
}

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
  register(@Body({ schema: credentials }) { email, password }: z.infer<typeof credentials>): Promise<TokenPair> {
    return this.auth.register(email, password);
  }

  @Public()
  @Post('login')
  @HttpCode(200)
  login(
    @Body({ schema: credentials }) { email, password }: z.infer<typeof credentials>,
  ): Promise<TokenPair | MfaRequired> {
    return this.auth.login(email, password);
  }

  @Public()
  @Post('mfa/verify')
  @HttpCode(200)
  verifyMfa(@Body({ schema: mfaBody }) { mfaToken, code }: z.infer<typeof mfaBody>): Promise<TokenPair> {
    return this.auth.verifyMfa(mfaToken, code);
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  refresh(@Body({ schema: refreshBody }) { refreshToken }: z.infer<typeof refreshBody>): Promise<TokenPair> {
    return this.auth.refresh(refreshToken);
  }

  @Post('logout')
  @HttpCode(204)
  async logout(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: refreshBody }) { refreshToken }: z.infer<typeof refreshBody>,
  ): Promise<void> {
    await this.auth.logout(principal, refreshToken);
  }

  @Public()
  @Post('verify-email')
  @HttpCode(200)
  async verifyEmail(@Body({ schema: verifyBody }) { token }: z.infer<typeof verifyBody>): Promise<Message> {
    await this.verification.verify(token);
    return { message: 'The email address is verified' };
  }

  @Post('resend-verification')
  @HttpCode(200)
  async resendVerification(@CurrentPrincipal() { userId }: Principal): Promise<Message> {
    await this.verification.resend(userId);
    return { message: 'Unless the address is verified already, a mail is on its way' };
  }

  @Public()
  @Post('forgot-password')
  @HttpCode(200)
  async forgotPassword(@Body({ schema: forgotBody }) { email }: z.infer<typeof forgotBody>): Promise<Message> {
    await this.passwords.request(email);
    return { message: 'If the address has an account, a mail is on its way' };
  }

  @Public()
  @Post('reset-password')
  @HttpCode(200)
  async resetPassword(@Body({ schema: resetBody }) { token, password }: z.infer<typeof resetBody>): Promise<Message> {
    await this.passwords.reset(token, password);
    return { message: 'The password is changed, and every session has ended' };
  }
}
