import { Controller, Post } from '@nestjs/common';
import { StreamTickets } from '../auth/stream-tickets.service.js';
import { AllowScope, CurrentPrincipal, type Principal } from '../common/principal.js';

/** Tickets for clients that cannot set headers, so that no token stands in a URL. */
@AllowScope('events:read')
@Controller('events/stream-tickets')
export class StreamTicketsController {
  constructor(private readonly tickets: StreamTickets) {}

  /** For `?ticket=` of the stream and of `/ws`, and `"ticket"` of an `auth` message: once, within 30 seconds. */
  @Post()
  issue(@CurrentPrincipal() principal: Principal): Promise<{ ticket: string; expiresAt: number }> {
    return this.tickets.issue(principal);
  }
}
