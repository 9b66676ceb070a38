import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { AllowScope, Roles } from '../common/principal.js';
import { RealtimeHub, type ConnectionView } from './realtime-hub.service.js';

/** The live connections of this process, for admins. */
@Roles('admin')
@AllowScope('realtime:manage')
@Controller('realtime/connections')
export class ConnectionsController {
  constructor(private readonly hub: RealtimeHub) {}

  @Get()
  list(): { connections: ConnectionView[] } {
    return { connections: this.hub.list() };
  }

  /** Closes one: its client may come back only after a new login. */
  @Delete(':id')
  @HttpCode(204)
  async close(@Param('id') id: string): Promise<void> {
    await this.hub.close(id);
  }
}
