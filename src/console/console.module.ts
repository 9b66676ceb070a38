import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { ConsoleController } from './console.controller.js';
import { ConsoleRequestGuard } from './console-request.guard.js';
import { ConsoleSessionController } from './console-session.controller.js';

/** The live page for admins, and the cookie that keeps its session. */
@Module({
  imports: [AuthModule],
  controllers: [ConsoleSessionController, ConsoleController],
  providers: [ConsoleRequestGuard],
})
export class ConsoleModule {}
