import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { z } from 'zod';
import { CurrentPrincipal, Public, type Principal } from '../common/principal.js';
import { emailSchema, passwordSchema } from '../users/credentials.schema.js';
import { AuthService, type TokenPair } from './auth.service.js';

const credentials = z.strictObject({ email: emailSchema, password: passwordSchema });
const refreshBody = z.strictObject({ refreshToken: z.string().min(1).max(512) });

/** The ways in and out. */
@Controller('auth')
export class AuthController {
  constructor(private readonly auth: AuthService) {}

  @Public()
  @Post('register')
  register(@Body({ schema: credentials }) { email, password }: z.infer<typeof credentials>): Promise<TokenPair> {
    return this.auth.register(email, password);
  }

  @Public()
  @Post('login')
  @HttpCode(200)
  login(@Body({ schema: credentials }) { email, password }: z.infer<typeof credentials>): Promise<TokenPair> {
    return this.auth.login(email, password);
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
}
