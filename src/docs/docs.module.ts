import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { DocsController } from './docs.controller.js';
import { Documents } from './documents.service.js';

/** The documents of the API, and a page to read and try them. */
@Module({
  imports: [DiscoveryModule],
  controllers: [DocsController],
  providers: [Documents],
})
export class DocsModule {}
