import { Body, Controller, Delete, HttpCode, Post, Req, Res, UseGuards } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AuthService } from '../auth/auth.service.js';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { Public } from '../common/principal.js';
import { Config } from '../config/config.js';
import { ConsoleRequestGuard } from './console-request.guard.js';
import { readRefreshCookie, refreshCookie } from './refresh-cookie.js';

const HEADERS = {
  'X-Herald-Console': z.literal('1').meta({ description: 'Says that it is the page that asks.', examples: ['1'] }),
};
const ERRORS = { FORBIDDEN: 'Another page than the console asks.' };
const tokenAnswer = z.strictObject({ accessToken: z.string().meta({ examples: ['eyJhbGciOiJIUzI1NiJ9.e30.MEUCIQ'] }) });
const startBody = z.strictObject({
  refreshToken: z
    .string()
    .min(1)
    .max(512)
    .meta({ description: 'Of a login.', examples: ['lUk1mEbVq3n0Jj8yY2tS5w7cXo9ZrA4dPfGhKiQxBsM'] }),
});

/**
 * Keeps the page's session in a cookie that no script can read; access tokens live in the page's memory alone.
 *
 * Public, since the cookie is what says who asks; the guard keeps other sites' pages from using it.
 */
@Public()
@UseGuards(ConsoleRequestGuard)
@Controller('console/session')
export class ConsoleSessionController {
  constructor(
    private readonly auth: AuthService,
    private readonly config: Config,
  ) {}

  /** Takes over a session after a login: the page's own refresh token is used up with it. */
  @Post()
  @HttpCode(200)
  @Documented({
    summary: 'Keep a session in the console’s cookie',
    headers: HEADERS,
    answer: tokenAnswer,
    errors: { ...ERRORS, UNAUTHORIZED: 'The refresh token is not valid.' },
  })
  start(
    @Body({ schema: startBody }) { refreshToken }: z.infer<typeof startBody>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ accessToken: string }> {
    return this.rotate(refreshToken, request, reply);
  }

  /** Answers with an access token, and replaces the cookie. */
  @Post('refresh')
  @HttpCode(200)
  @Documented({
    summary: 'Renew the session of the console’s cookie',
    headers: HEADERS,
    answer: tokenAnswer,
    errors: { ...ERRORS, UNAUTHORIZED: 'The cookie is missing, or not valid.' },
  })
  async refresh(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ accessToken: string }> {
    const token = readRefreshCookie(request);
    if (token === undefined) throw new AppError('UNAUTHORIZED', 'There is no session: log in');
    try {
      return await this.rotate(token, request, reply);
    } catch (error) {
      // A server error must not log anybody out.
      if (error instanceof AppError) void reply.header('Set-Cookie', this.cookie('', request));
      throw error;
    }
  }

  /** Logs out; there need not be a session any more. */
  @Delete()
  @HttpCode(204)
  @Documented({ summary: 'End the session of the console’s cookie', headers: HEADERS, errors: ERRORS })
  async end(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    const token = readRefreshCookie(request);
    if (token !== undefined) await this.auth.endSessionOf(token);
    void reply.header('Set-Cookie', this.cookie('', request));
  }

  private async rotate(token: string, request: FastifyRequest, reply: FastifyReply): Promise<{ accessToken: string }> {
    const { accessToken, refreshToken } = await this.auth.refresh(token);
    void reply.header('Set-Cookie', this.cookie(refreshToken, request));
    return { accessToken };
  }

  private cookie(token: string, { protocol }: FastifyRequest): string {
    const { PUBLIC_URL, JWT_REFRESH_EXPIRES_IN } = this.config;
    const isSecure = protocol === 'https' || PUBLIC_URL?.startsWith('https:') === true;
    return refreshCookie(token, { isSecure, maxAgeMs: token === '' ? 0 : JWT_REFRESH_EXPIRES_IN });
  }
}
