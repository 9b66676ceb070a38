import { Module, type BeforeApplicationShutdown, type DynamicModule, type Type } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { entities } from './app.entities.js';
import { AdminModule } from './admin/admin.module.js';
import { ApiKeysModule } from './api-keys/api-keys.module.js';
import { AuditModule } from './audit/audit.module.js';
import { AuthModule } from './auth/auth.module.js';
import { ClientScriptModule } from './client-script/client-script.module.js';
import type { HeraldHttpAdapter } from './common/herald-http.adapter.js';
import { Config } from './config/config.js';
import { ConfigModule } from './config/config.module.js';
import { ConsoleModule } from './console/console.module.js';
import { DatabaseModule } from './database/database.module.js';
import { EventsModule } from './events/events.module.js';
import { DocsModule } from './docs/docs.module.js';
import type { Extension } from './extensions/extension.js';
import { ExtensionsModule } from './extensions/extensions.module.js';
import { HealthModule } from './health/health.module.js';
import { JobWorker } from './jobs/job-worker.service.js';
import { JobsModule } from './jobs/jobs.module.js';
import { MailModule } from './mail/mail.module.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { MfaModule } from './mfa/mfa.module.js';
import { RealtimeHub } from './realtime/realtime-hub.service.js';
import { RealtimeModule } from './realtime/realtime.module.js';
import { UsersModule } from './users/users.module.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

/** The share of `SHUTDOWN_GRACE_MS` in which requests that are under way may end. */
const REQUESTS_SHARE = 0.5;

/** The one composition root. */
@Module({})
export class AppModule implements BeforeApplicationShutdown {
  constructor(
    private readonly adapterHost: HttpAdapterHost<HeraldHttpAdapter>,
    private readonly hub: RealtimeHub,
    private readonly worker: JobWorker,
    private readonly config: Config,
  ) {}

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
        ClientScriptModule,
        HealthModule,
        MetricsModule,
        DocsModule,
        ConsoleModule,
        ExtensionsModule.forRoot(extensions),
        ...extras,
      ],
    };
  }

  /**
   * The order of a shutdown, in one place: Nest calls its hooks by the distance of the modules, the root's first. Then
   * the requests under way end, and what drains closes before the database does.
   */
  async beforeApplicationShutdown(): Promise<void> {
    this.adapterHost.httpAdapter.stopAccepting(this.config.SHUTDOWN_GRACE_MS * REQUESTS_SHARE);
    await this.hub.sayGoodbye();
    // Not awaited: it runs beside the closing of the HTTP server, which a slow client can make long.
    void this.worker.drain();
  }
}
