import { Controller, Post } from '@nestjs/common';
import { z } from 'zod';
import { StreamTickets } from '../auth/stream-tickets.service.js';
import { Documented } from '../common/documented.js';
import { epochMs } from '../common/fields.js';
import { AllowScope, CurrentPrincipal, type Principal } from '../common/principal.js';

const ticketAnswer = z.strictObject({
  ticket: z.string().meta({ examples: ['q8Zt1xWc5vB2nM7kL4jH9gF6dS3aP0oI'] }),
  expiresAt: epochMs,
});

/** Tickets for clients that cannot set headers, so that no token stands in a URL. */
@AllowScope('events:read')
@Controller('events/stream-tickets')
export class StreamTicketsController {
  constructor(private readonly tickets: StreamTickets) {}

  /** For `?ticket=` of the stream and of `/ws`, and `"ticket"` of an `auth` message: once, within 30 seconds. */
  @Post()
  @Documented({
    summary: 'Get a ticket for one stream',
    description:
      'For `?ticket=` of the stream and of `/ws`, and `"ticket"` of an `auth` message: once, within 30 seconds.',
    answer: ticketAnswer,
  })
  issue(@CurrentPrincipal() principal: Principal): Promise<z.infer<typeof ticketAnswer>> {
    return this.tickets.issue(principal);
  }
}
