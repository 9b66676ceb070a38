import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';

/**
 * Lets only the page itself use its cookie (OWASP CSRF Prevention Cheat Sheet).
 *
 * Three things, each enough by itself: the cookie is `SameSite=Strict`; the header makes a browser ask first where
 * another origin is to send it, and is refused then; and the browser says where a request comes from.
 */
@Injectable()
export class ConsoleRequestGuard implements CanActivate {
  constructor(private readonly config: Config) {}

  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
    if (headers['x-herald-console'] !== '1') throw refusal('The header X-Herald-Console: 1 is missing');
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin') throw refusal('Another site may not do this');
    if (!this.isOwnOrigin(headers)) throw refusal('Only the console itself may do this');
    return true;
  }

  /** A browser sends the origin with every request that is not a GET. */
  private isOwnOrigin({ origin, host }: FastifyRequest['headers']): boolean {
    if (origin === undefined || !URL.canParse(origin)) return false;
    const { PUBLIC_URL } = this.config;
    return new URL(origin).host === host || (PUBLIC_URL !== undefined && new URL(PUBLIC_URL).origin === origin);
  }
}

function refusal(message: string): AppError {
  return new AppError('FORBIDDEN', message, [{ code: 'REQUEST_FORGED', message }]);
}
