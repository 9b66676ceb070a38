import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { z } from 'zod';
import { CurrentPrincipal, type Principal } from '../common/principal.js';
import { passwordSchema } from '../users/credentials.schema.js';
import { MfaService } from './mfa.service.js';

const code = z.string().min(1).max(32);
const enableBody = z.strictObject({ secret: z.string().min(1).max(128), code });
const disableBody = z.strictObject({ code, password: passwordSchema.optional() });

/** The caller's own second factor. */
@Controller('auth/mfa')
export class MfaController {
  constructor(private readonly mfa: MfaService) {}

  /** Answers with the secret, as text, as a URI for authenticator apps and as a QR code (PNG, a data URL). */
  @Post('setup')
  @HttpCode(200)
  setUp(@CurrentPrincipal() { userId }: Principal): Promise<{ secret: string; uri: string; qrCode: string }> {
    return this.mfa.setUp(userId);
  }

  @Post('enable')
  @HttpCode(200)
  async enable(
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: enableBody }) body: z.infer<typeof enableBody>,
  ): Promise<{ message: string; recoveryCodes: string[] }> {
    const recoveryCodes = await this.mfa.enable(userId, body.secret, body.code);
    return { message: 'The second factor is on; keep the recovery codes, they are not shown again', recoveryCodes };
  }

  @Post('disable')
  @HttpCode(200)
  async disable(
    @CurrentPrincipal() { userId, sessionId }: Principal,
    @Body({ schema: disableBody }) body: z.infer<typeof disableBody>,
  ): Promise<{ message: string }> {
    await this.mfa.disable(userId, sessionId, body.code, body.password);
    return { message: 'The second factor is off' };
  }
}
