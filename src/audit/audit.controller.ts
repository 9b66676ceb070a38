import { Controller, Get, Query } from '@nestjs/common';
import { z } from 'zod';
import { toPage, type Page } from '../common/pagination.js';
import { AllowScope, Roles } from '../common/principal.js';
import type { ChainReport } from '../events/audit-chain.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { ACT_TYPES } from '../events/audited-acts.js';
import { eventTypes } from '../events/catalogue.js';
import type { EventRow } from '../events/event.entity.js';
import { checkFilters, splitList, typesOf } from '../events/event-filter.js';

/** A time: epoch ms, or ISO 8601 with its offset. */
const time = z.union(
  [
    z
      .string()
      .regex(/^\d{1,14}$/)
      .transform((ms) => new Date(Number(ms)).toISOString()),
    z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString()),
  ],
  { error: 'is neither epoch milliseconds nor an ISO 8601 time with its offset' },
);
const listQuery = z.strictObject({
  actor: z.string().min(1).max(254).optional(),
  subject: z.string().min(1).max(254).optional(),
  type: z.string().optional(),
  from: time.optional(),
  to: time.optional(),
  after: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

/** One act: what happened, to whom, by whom, from where, and how it ended. */
type AuditView = Pick<EventRow, (typeof SHOWN)[number]>;

const SHOWN = [
  ...(['id', 'type', 'timestamp', 'subject', 'outcome', 'actorId', 'sessionId', 'ip', 'userAgent'] as const),
  ...(['requestId', 'payload', 'details', 'hash'] as const),
] as const;

/** The audit trail, for admins: every event, and the acts that are no events, the newest first. */
@Roles('admin')
@AllowScope('audit:read')
@Controller('audit')
export class AuditController {
  constructor(private readonly trail: AuditTrail) {}

  @Get()
  async list(
    @Query({ schema: listQuery }) { actor, type, limit, ...rest }: z.infer<typeof listQuery>,
  ): Promise<Page<AuditView>> {
    const known = [...eventTypes(), ...ACT_TYPES];
    const types = type === undefined ? undefined : typesOf(checkFilters(splitList(type), 'type', known), known);
    const rows = await this.trail.list({ ...rest, actorId: actor, types, limit: limit + 1 });
    return toPage(rows.map(toView), limit, ({ id }) => id);
  }

  /** Follows the chain of hashes through every row that is kept, which takes a while on a long trail. */
  @Get('verification')
  verify(): Promise<ChainReport> {
    return this.trail.verify();
  }
}

function toView(row: EventRow): AuditView {
  return Object.fromEntries(SHOWN.map((name) => [name, row[name]])) as AuditView;
}
