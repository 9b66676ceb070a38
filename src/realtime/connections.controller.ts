import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import type { z } from 'zod';
import { Documented } from '../common/documented.js';
import { uuid } from '../common/fields.js';
import { AllowScope, Roles } from '../common/principal.js';
import { connectionsAnswer } from './connection-view.js';
import { RealtimeHub } from './realtime-hub.service.js';

/** The live connections of this process, for admins. */
@Roles('admin')
@AllowScope('realtime:manage')
@Controller('realtime/connections')
export class ConnectionsController {
  constructor(private readonly hub: RealtimeHub) {}

  @Get()
  @Documented({ summary: 'List the live connections of this instance', answer: connectionsAnswer })
  list(): z.infer<typeof connectionsAnswer> {
    return { connections: this.hub.list() };
  }

  /** Closes one: its client may come back only after a new login. */
  @Delete(':id')
  @HttpCode(204)
  @Documented({ summary: 'Close a live connection of this instance', params: { id: uuid } })
  async close(@Param('id') id: string): Promise<void> {
    await this.hub.close(id);
  }
}
