import { Controller, Get, Query } from '@nestjs/common';
import { z } from 'zod';
import { Documented } from '../common/documented.js';
import { ipAddress, userAgent } from '../common/fields.js';
import { pageOf, pageQuery, toPage } from '../common/pagination.js';
import { AllowScope, Roles } from '../common/principal.js';
import { chainReport, type ChainReport } from '../events/audit-chain.js';
import { AuditTrail } from '../events/audit-trail.service.js';
import { ACT_TYPES } from '../events/audited-acts.js';
import { eventTypes } from '../events/catalogue.js';
import type { EventRow } from '../events/event.entity.js';
import { rowId, timestamp } from '../events/event.schemas.js';
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
const person = z.string().min(1).max(254);
const listQuery = z.strictObject({
  actor: person.optional().meta({ description: 'The account that acted.' }),
  subject: person
    .optional()
    .meta({ description: 'The account or address that it was done to.', examples: ['ada@example.com'] }),
  type: z
    .string()
    .optional()
    .meta({
      description: 'Types of events or acts, separated by commas; `prefix.*` for several.',
      examples: ['login.*'],
    }),
  from: time.optional().meta({ description: 'Epoch milliseconds, or ISO 8601.', examples: ['2026-01-01T00:00:00Z'] }),
  to: time.optional().meta({ description: 'Epoch milliseconds, or ISO 8601.' }),
  ...pageQuery,
});

const particulars = z.record(z.string(), z.unknown());

/** One act: what happened, to whom, by whom, from where, and how it ended. */
const auditView = z
  .strictObject({
    id: rowId,
    type: z.string().meta({ description: 'A type of event, or an act that is none.', examples: ['login.failed'] }),
    timestamp,
    subject: z
      .string()
      .meta({ description: 'The account or address that it was done to.', examples: ['ada@example.com'] }),
    outcome: z.enum(['success', 'failure']).meta({ examples: ['failure'] }),
    actorId: z
      .string()
      .nullable()
      .meta({ description: 'The account that acted; null for nobody.', examples: [null] }),
    sessionId: z
      .string()
      .nullable()
      .meta({ description: 'Its session, or its API key.', examples: [null] }),
    ip: ipAddress,
    userAgent,
    requestId: z
      .string()
      .nullable()
      .meta({ examples: ['0c9e5f7a-1b24-4d6e-8f2c-7a41b6d30c9e'] }),
    payload: particulars.meta({ description: 'As the type says.', examples: [{ email: 'ada@example.com' }] }),
    details: particulars.nullable().meta({ description: 'What only the audit trail says.', examples: [null] }),
    hash: z
      .string()
      .nullable()
      .meta({
        description: 'Chains the row to the one before.',
        examples: ['6XwI0mZ3t8Qk1sYb7Vn4pRcD2hFgJ5LaE9uToKyNxWs'],
      }),
  })
  .meta({ id: 'AuditRow' });
type AuditView = z.infer<typeof auditView>;
const auditPage = pageOf(auditView);

/** The audit trail, for admins: every event, and the acts that are no events, the newest first. */
@Roles('admin')
@AllowScope('audit:read')
@Controller('audit')
export class AuditController {
  constructor(private readonly trail: AuditTrail) {}

  @Get()
  @Documented({ summary: 'Read the audit trail, the newest first', answer: auditPage })
  async list(
    @Query({ schema: listQuery }) { actor, type, limit, ...rest }: z.infer<typeof listQuery>,
  ): Promise<z.infer<typeof auditPage>> {
    const known = [...eventTypes(), ...ACT_TYPES];
    const types = type === undefined ? undefined : typesOf(checkFilters(splitList(type), 'type', known), known);
    const rows = await this.trail.list({ ...rest, actorId: actor, types, limit: limit + 1 });
    return toPage(rows.map(toView), limit, ({ id }) => id);
  }

  /** Follows the chain of hashes through every row that is kept, which takes a while on a long trail. */
  @Get('verification')
  @Documented({ summary: 'Verify the chain of hashes of the audit trail', answer: chainReport })
  verify(): Promise<ChainReport> {
    return this.trail.verify();
  }
}

const SHOWN = Object.keys(auditView.shape) as (keyof AuditView)[];

function toView(row: EventRow): AuditView {
  return Object.fromEntries(SHOWN.map((name) => [name, row[name]])) as AuditView;
}
