import { Controller, Get, Param, Query } from '@nestjs/common';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { toPage, type Page } from '../common/pagination.js';
import { AllowScope, CurrentPrincipal, type Principal } from '../common/principal.js';
import type { DomainEvent, EventEnvelope } from './domain-event.js';
import { checkFilters, splitList, typesOf } from './event-filter.js';
import { EventJournal } from './event-journal.service.js';
import { EventTraces, type EventTrace } from './event-traces.service.js';
import { canSee, visibleSubjects } from './visibility.js';

const listQuery = z.strictObject({
  after: z.string().optional(),
  type: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

/** The log over REST: what happened, oldest first, as far as the caller may know of it. */
@AllowScope('events:read')
@Controller('events')
export class EventsController {
  constructor(
    private readonly journal: EventJournal,
    private readonly traces: EventTraces,
  ) {}

  @Get()
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: listQuery }) { after, type, limit }: z.infer<typeof listQuery>,
  ): Promise<Page<EventEnvelope> & { complete: boolean }> {
    const types = type === undefined ? undefined : typesOf(checkFilters(splitList(type), 'type'));
    const { afterSeq, complete } =
      after === undefined ? { afterSeq: 0, complete: true } : await this.journal.locate(after, 'after');
    const subjects = visibleSubjects(principal);
    const events = await this.journal.read({ afterSeq, types, subjects, limit: limit + 1 });
    return { ...toPage(events.map(toEnvelope), limit, ({ id }) => id), complete };
  }

  @Get(':id')
  async one(@CurrentPrincipal() principal: Principal, @Param('id') id: string): Promise<EventEnvelope> {
    const event = await this.journal.find(id);
    if (!event || !canSee(principal, event.subject)) throw new AppError('NOT_FOUND', 'There is no such event');
    return toEnvelope(event);
  }

  /** Everything that happened to one event; more than `events:read` lets a key see. */
  @AllowScope('audit:read')
  @Get(':id/trace')
  trace(@CurrentPrincipal() principal: Principal, @Param('id') id: string): Promise<EventTrace> {
    return this.traces.of(id, principal);
  }
}

/** Reduces an event to the four fields that clients see. */
function toEnvelope({ id, type, timestamp, payload }: DomainEvent): EventEnvelope {
  return { id, type, timestamp, payload };
}
