import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { ConnectionLimits } from './connection-limits.service.js';
import { ConnectionsController } from './connections.controller.js';
import { RealtimeGateway } from './realtime.gateway.js';
import { RealtimeHub } from './realtime-hub.service.js';
import { RealtimeMetrics } from './realtime-metrics.service.js';
import { Replays } from './replays.service.js';
import { SseController } from './sse.controller.js';
import { StreamTicketsController } from './stream-tickets.controller.js';

/** The live side: WebSocket and SSE clients, and the hub between them and the bus. */
@Module({
  imports: [AuthModule],
  controllers: [SseController, StreamTicketsController, ConnectionsController],
  providers: [RealtimeHub, Replays, RealtimeGateway, ConnectionLimits, RealtimeMetrics],
  exports: [RealtimeHub, RealtimeMetrics],
})
export class RealtimeModule {}
