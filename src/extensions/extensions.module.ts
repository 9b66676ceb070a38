import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuthModule } from '../auth/auth.module.js';
import { HealthModule } from '../health/health.module.js';
import { WebhooksModule } from '../webhooks/webhooks.module.js';
import type { Extension } from './extension.js';
import { InstalledExtension } from './installed-extension.entity.js';
import { EXTENSIONS, InstalledExtensions } from './installed-extensions.service.js';

/** The extensions, and what all of them may have injected beside what is global anyway. */
@Module({})
export class ExtensionsModule {
  static forRoot(extensions: readonly Extension[]): DynamicModule {
    return {
      module: ExtensionsModule,
      global: true,
      imports: [
        TypeOrmModule.forFeature([InstalledExtension]),
        AuthModule,
        HealthModule,
        WebhooksModule,
        ...extensions.map(({ module }) => module),
      ],
      providers: [{ provide: EXTENSIONS, useValue: extensions }, InstalledExtensions],
      exports: [AuthModule, HealthModule, WebhooksModule],
    };
  }
}
