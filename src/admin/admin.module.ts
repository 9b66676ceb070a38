import { Module } from '@nestjs/common';
import { RealtimeModule } from '../realtime/realtime.module.js';
import { UsersModule } from '../users/users.module.js';
import { WebhooksModule } from '../webhooks/webhooks.module.js';
import { AdminSessionsController } from './admin-sessions.controller.js';
import { AdminUsersController } from './admin-users.controller.js';
import { OverviewController } from './overview.controller.js';
import { OverviewService } from './overview.service.js';

/** What admins do to other accounts, and what they see of the whole. */
@Module({
  imports: [UsersModule, RealtimeModule, WebhooksModule],
  controllers: [AdminUsersController, AdminSessionsController, OverviewController],
  providers: [OverviewService],
})
export class AdminModule {}
