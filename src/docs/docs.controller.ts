import { Controller, Get, Header, Param, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { Public } from '../common/principal.js';
import { PAGE_POLICY, readAssets, renderPage, versionOf, type Asset } from './documentation-page.js';
import { Documents } from './documents.service.js';

const openApiDocument = z.looseObject({ openapi: z.literal('3.1.1') });
const asyncApiDocument = z.looseObject({ asyncapi: z.literal('3.0.0') });
const version = z.string().meta({ description: 'As the page names it.', examples: ['0c9e5f7a1b244d6e'] });
const file = z.string().meta({ examples: ['start.js'] });

/** What the API is, for programs and for people. */
@Public()
@Controller('docs')
export class DocsController {
  /** Read with the first request for the page: most processes are never asked. */
  private page: { assets: ReadonlyMap<string, Asset>; version: string } | undefined;

  constructor(private readonly documents: Documents) {}

  @Get()
  @Header('Content-Type', 'application/json; charset=utf-8')
  @Documented({ summary: 'This document (OpenAPI 3.1)', mediaType: 'application/json', answer: openApiDocument })
  openApi(): string {
    return this.documents.openApi;
  }

  @Get('asyncapi.json')
  @Header('Content-Type', 'application/json; charset=utf-8')
  @Documented({
    summary: 'The live side and webhooks (AsyncAPI 3.0)',
    mediaType: 'application/json',
    answer: asyncApiDocument,
  })
  asyncApi(): string {
    return this.documents.asyncApi;
  }

  @Get('html')
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', PAGE_POLICY)
  @Documented({ summary: 'A page to read this document and to try it', mediaType: 'text/html', answer: z.string() })
  html(): string {
    return renderPage(this.files().version);
  }

  /** Only files on the list, and only under their present version, since they are kept for ever. */
  @Get('html/:version/:file')
  @Documented({
    summary: 'A file of that page',
    mediaType: '*/*',
    params: { version, file },
    answer: z.string(),
  })
  asset(
    @Param('version') wanted: string,
    @Param('file') name: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Buffer {
    const { assets, version: present } = this.files();
    const asset = wanted === present ? assets.get(name) : undefined;
    if (!asset) throw new AppError('NOT_FOUND', 'There is no such file');
    // Not by a decorator: that would have errors kept as well.
    void reply.header('Content-Type', asset.mediaType).header('Cache-Control', 'public, max-age=31536000, immutable');
    return asset.bytes;
  }

  private files() {
    if (!this.page) {
      const assets = readAssets();
      this.page = { assets, version: versionOf(assets) };
    }
    return this.page;
  }
}
