import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { z } from 'zod';
import { Documented } from '../common/documented.js';
import { messageView } from '../common/fields.js';
import { CurrentPrincipal, type Principal } from '../common/principal.js';
import { passwordSchema } from '../users/credentials.schema.js';
import { MfaService } from './mfa.service.js';

const code = z
  .string()
  .min(1)
  .max(32)
  .meta({ description: 'From the authenticator app.', examples: ['492039'] });
const secret = z
  .string()
  .min(1)
  .max(128)
  .meta({ examples: ['JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'] });
const enableBody = z.strictObject({ secret, code });
const disableBody = z.strictObject({
  code: code.meta({ description: 'From the authenticator app, or a recovery code.', examples: ['492039'] }),
  password: passwordSchema.optional().meta({ description: 'Needed unless the session has just begun.' }),
});

const setUpAnswer = z.strictObject({
  secret,
  uri: z.string().meta({
    examples: ['otpauth://totp/Herald:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Herald'],
  }),
  qrCode: z
    .string()
    .meta({ description: 'The URI as a PNG, in a data URL.', examples: ['data:image/png;base64,iVBORw0KGgo='] }),
});
const enableAnswer = messageView.extend({
  recoveryCodes: z
    .array(z.string())
    .meta({ description: 'Each replaces a code of the app once.', examples: [['k7fp-2mxq-9trw']] }),
});

/** The caller's own second factor. */
@Controller('auth/mfa')
export class MfaController {
  constructor(private readonly mfa: MfaService) {}

  /** Answers with the secret, as text, as a URI for authenticator apps and as a QR code (PNG, a data URL). */
  @Post('setup')
  @HttpCode(200)
  @Documented({
    summary: 'Begin to set up a second factor',
    answer: setUpAnswer,
    errors: { CONFLICT: 'A second factor is on already.' },
  })
  setUp(@CurrentPrincipal() { userId }: Principal): Promise<z.infer<typeof setUpAnswer>> {
    return this.mfa.setUp(userId);
  }

  @Post('enable')
  @HttpCode(200)
  @Documented({
    summary: 'Turn the second factor on',
    answer: enableAnswer,
    errors: {
      UNAUTHORIZED: 'The token is not valid, or the code is wrong.',
      CONFLICT: 'A second factor is on already.',
    },
  })
  async enable(
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: enableBody }) body: z.infer<typeof enableBody>,
  ): Promise<z.infer<typeof enableAnswer>> {
    const recoveryCodes = await this.mfa.enable(userId, body.secret, body.code);
    return { message: 'The second factor is on; keep the recovery codes, they are not shown again', recoveryCodes };
  }

  @Post('disable')
  @HttpCode(200)
  @Documented({
    summary: 'Turn the second factor off',
    answer: messageView,
    errors: { UNAUTHORIZED: 'The token is not valid, or the code is wrong.', CONFLICT: 'No second factor is on.' },
  })
  async disable(
    @CurrentPrincipal() { userId, sessionId }: Principal,
    @Body({ schema: disableBody }) body: z.infer<typeof disableBody>,
  ): Promise<z.infer<typeof messageView>> {
    await this.mfa.disable(userId, sessionId, body.code, body.password);
    return { message: 'The second factor is off' };
  }
}
