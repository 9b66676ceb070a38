import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { entities } from './app.entities.js';
import { AdminModule } from './admin/admin.module.js';
import { ApiKeysModule } from './api-keys/api-keys.module.js';
import { AuditModule } from './audit/audit.module.js';
import { AuthModule } from './auth/auth.module.js';
import type { Config } from './config/config.js';
import { ConfigModule } from './config/config.module.js';
import { DatabaseModule } from './database/database.module.js';
import { EventsModule } from './events/events.module.js';
import type { Extension } from './extensions/extension.js';
import { ExtensionsModule } from './extensions/extensions.module.js';
import { HealthModule } from './health/health.module.js';
import { JobsModule } from './jobs/jobs.module.js';
import { MailModule } from './mail/mail.module.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { MfaModule } from './mfa/mfa.module.js';
import { RealtimeModule } from './realtime/realtime.module.js';
import { UsersModule } from './users/users.module.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

/** The one composition root. */
@Module({})
export class AppModule {
  static forRoot(config: Config, extensions: readonly Extension[], extras: Type[]): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot(config),
        DatabaseModule.forRoot({
          entities: [...entities, ...extensions.flatMap((one) => one.entities ?? [])],
          migrations: extensions.flatMap((one) => one.migrations ?? []),
        }),
        EventsModule,
        JobsModule,
        UsersModule,
        AuthModule,
        ApiKeysModule,
        MfaModule,
        RealtimeModule,
        WebhooksModule,
        MailModule.forRoot(config),
        AuditModule,
        AdminModule,
        HealthModule,
        MetricsModule,
        ExtensionsModule.forRoot(extensions),
        ...extras,
      ],
    };
  }
}
