import { Module } from '@nestjs/common';
import { RealtimeModule } from '../realtime/realtime.module.js';
import { MetricsController } from './metrics.controller.js';
import { Metrics } from './metrics.service.js';

/** What is measured. */
@Module({
  imports: [RealtimeModule],
  controllers: [MetricsController],
  providers: [Metrics],
})
export class MetricsModule {}
