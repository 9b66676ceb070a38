import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { pathOf } from '../common/http-error.filter.js';
import { Public } from '../common/principal.js';
import { readPageFiles, type PageFile } from './page-files.js';

const BASE = '/console/';
/** Their names carry a hash of what they hold. */
const HASHED = 'assets/';

/** All that the page may do: it loads from here, talks to here, and is framed by nobody (CSP Level 3). */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** The page for admins. It holds no data: what it shows, it asks the API for, as who has logged in. */
@Public()
@Controller('console')
export class ConsoleController {
  private readonly files = readPageFiles();

  /** The routes of the page itself are all the same file. */
  @Get(['', '*'])
  @Documented({ summary: 'The console', mediaType: 'text/html', answer: z.string() })
  page(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    const path = pathOf(request.url).slice(BASE.length);
    const file = this.files.get(path) ?? (path.startsWith(HASHED) ? undefined : this.files.get('index.html'));
    if (!file) {
      const message = this.files.size === 0 ? 'The console is not built: npm run build' : 'There is no such file';
      throw new AppError('NOT_FOUND', message);
    }
    const isHashed = path.startsWith(HASHED);
    void reply.headers(HEADERS).header('Cache-Control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
    send(request, reply, file);
  }
}

function send({ headers }: FastifyRequest, reply: FastifyReply, { type, etag, body, gzipped }: PageFile): void {
  void reply.header('ETag', etag).header('Vary', 'Accept-Encoding');
  if (headers['if-none-match'] === etag) {
    void reply.status(304).send();
    return;
  }
  void reply.type(type);
  if (/\bgzip\b/.test(headers['accept-encoding'] ?? '')) {
    void reply.header('Content-Encoding', 'gzip').send(gzipped);
  } else void reply.send(body);
}
