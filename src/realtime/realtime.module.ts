import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { RealtimeGateway } from './realtime.gateway.js';
import { RealtimeHub } from './realtime-hub.service.js';
import { SseController } from './sse.controller.js';

/** The live side: WebSocket and SSE clients, and the hub between them and the bus. */
@Module({
  imports: [AuthModule],
  controllers: [SseController],
  providers: [RealtimeHub, RealtimeGateway],
  exports: [RealtimeHub],
})
export class RealtimeModule {}
