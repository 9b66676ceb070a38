import { Controller, Get, Param, Query } from '@nestjs/common';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { pageOf, pageQuery, toPage, type Page } from '../common/pagination.js';
import { AllowScope, CurrentPrincipal, type Principal } from '../common/principal.js';
import type { DomainEvent, EventEnvelope } from './domain-event.js';
import { definitionOf, eventTypes } from './catalogue.js';
import { checkFilters, splitList, typesOf } from './event-filter.js';
import { EventJournal } from './event-journal.service.js';
import { eventId, loggedEvent } from './event.schemas.js';
import { EventTraces } from './event-traces.service.js';
import { eventTrace, type EventTrace } from './event-trace.schema.js';
import { canSee, visibleSubjects } from './visibility.js';

const listQuery = z.strictObject({
  ...pageQuery,
  after: z
    .string()
    .optional()
    .meta({
      description: 'The id of an event: what happened after it.',
      examples: ['evt-01a20d15-9125-730d-a06d-4c865def98b5'],
    }),
  before: z
    .string()
    .optional()
    .meta({
      description: 'The id of an event: what happened before it. With `order=desc`, pages go on with it.',
      examples: ['evt-01a20d15-9125-730d-a06d-4c865def98b5'],
    }),
  order: z
    .enum(['asc', 'desc'])
    .default('asc')
    .meta({ description: 'The oldest first, or the newest.', examples: ['asc'] }),
  type: z
    .string()
    .optional()
    .meta({ description: 'Types, separated by commas; `prefix.*` for several.', examples: ['user.*,login.*'] }),
});
const listAnswer = () =>
  pageOf(loggedEvent()).extend({
    complete: z
      .boolean()
      .meta({ description: 'False where events after `after` are older than the log’s retention.', examples: [true] }),
  });

const typesAnswer = z.strictObject({
  types: z.array(
    z.strictObject({
      type: z.string().meta({ examples: ['user.registered'] }),
      description: z.string().meta({ examples: ['An account was created, by registration or by an admin.'] }),
    }),
  ),
});

/** The log over REST: what happened, as far as the caller may know of it. */
@AllowScope('events:read')
@Controller('events')
export class EventsController {
  constructor(
    private readonly journal: EventJournal,
    private readonly traces: EventTraces,
  ) {}

  @Get()
  @Documented({ summary: 'Read the log, oldest or newest first', answer: listAnswer })
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: listQuery }) { after, before, order, type, limit }: z.infer<typeof listQuery>,
  ): Promise<Page<EventEnvelope> & { complete: boolean }> {
    const types = type === undefined ? undefined : typesOf(checkFilters(splitList(type), 'type'));
    const { afterSeq, complete } =
      after === undefined ? { afterSeq: 0, complete: true } : await this.journal.locate(after, 'after');
    const throughSeq = before === undefined ? undefined : (await this.journal.locate(before, 'before')).afterSeq - 1;
    // What another instance has answered for must be in the list.
    await this.journal.catchUp();
    const subjects = visibleSubjects(principal);
    const events = await this.journal.read({ afterSeq, throughSeq, types, subjects, order, limit: limit + 1 });
    return { ...toPage(events.map(toEnvelope), limit, ({ id }) => id), complete };
  }

  /** Every type that filters may name, those of extensions too. */
  @Get('types')
  @Documented({ summary: 'List the types of events', answer: typesAnswer })
  types(): z.infer<typeof typesAnswer> {
    return { types: eventTypes().map((type) => ({ type, description: definitionOf(type)?.description ?? '' })) };
  }

  @Get(':id')
  @Documented({ summary: 'Read an event', params: { id: eventId }, answer: loggedEvent })
  async one(@CurrentPrincipal() principal: Principal, @Param('id') id: string): Promise<EventEnvelope> {
    const event = await this.journal.find(id);
    if (!event || !canSee(principal, event.subject)) throw new AppError('NOT_FOUND', 'There is no such event');
    return toEnvelope(event);
  }

  /** Everything that happened to one event; more than `events:read` lets a key see. */
  @AllowScope('audit:read')
  @Get(':id/trace')
  @Documented({
    summary: 'Read everything that happened to an event',
    description: 'What became of it (`readers`, and each part that a room adds) is told to admins alone.',
    params: { id: eventId },
    answer: eventTrace,
  })
  trace(@CurrentPrincipal() principal: Principal, @Param('id') id: string): Promise<EventTrace> {
    return this.traces.of(id, principal);
  }
}

/** Reduces an event to the four fields that clients see. */
function toEnvelope({ id, type, timestamp, payload }: DomainEvent): EventEnvelope {
  return { id, type, timestamp, payload };
}
