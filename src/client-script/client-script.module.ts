import { Module } from '@nestjs/common';
import { ClientScriptController } from './client-script.controller.js';

/** The client, served to pages. */
@Module({ controllers: [ClientScriptController] })
export class ClientScriptModule {}
