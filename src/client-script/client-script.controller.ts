import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { Controller, Get, Header, Headers, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { Public } from '../common/principal.js';

/** Where the build has put it, as seen from the sources and from the build. */
const PLACES = ['../../dist/client/client.min.js', '../../client/client.min.js'];

/** The client for pages without a build: `import { HeraldClient } from '…/client.js'`. */
@Public()
@Controller('client.js')
export class ClientScriptController {
  private script: { text: string; etag: string } | undefined;

  /** Always the one of this version: a cache keeps it, and asks each time whether it is still the same. */
  @Get()
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  @Header('Cache-Control', 'public, no-cache')
  @Documented({
    summary: 'The client for pages',
    description: 'One module without imports; with `If-None-Match` it is answered 304 while it is the same.',
    mediaType: 'text/javascript',
    answer: z.string(),
    headers: { 'If-None-Match': z.string().meta({ description: 'The `ETag` of the one at hand.' }) },
    errors: { NOT_FOUND: 'The client was not built.' },
  })
  read(
    @Headers('if-none-match') known: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): string | undefined {
    const { text, etag } = (this.script ??= load());
    void reply.header('ETag', etag);
    if (!known?.includes(etag)) return text;
    void reply.status(304);
    return undefined;
  }
}

function load(): { text: string; etag: string } {
  const file = PLACES.map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
  if (!file) throw new AppError('NOT_FOUND', 'The client is not built: run npm run build');
  const text = readFileSync(file, 'utf8');
  return { text, etag: `"${createHash('sha256').update(text).digest('base64url')}"` };
}
