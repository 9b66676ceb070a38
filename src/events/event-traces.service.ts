import { Injectable } from '@nestjs/common';
import { AppError } from '../common/app-error.js';
import type { Principal } from '../common/principal.js';
import { AuditTrail } from './audit-trail.service.js';
import type { EventRow } from './event.entity.js';
import type { EventTrace } from './event-trace.schema.js';
import { JournalReaders } from './journal-readers.service.js';
import { canSee } from './visibility.js';

/** Tells what a room knows about one event. */
export type TraceSource = (eventId: string) => Promise<Record<string, unknown>[]>;

/** Gathers the life of an event from the rooms that had to do with it. */
@Injectable()
export class EventTraces {
  private readonly sources = new Map<string, TraceSource>();

  constructor(
    private readonly trail: AuditTrail,
    private readonly readers: JournalReaders,
  ) {}

  /** Adds a part to every trace. */
  add(name: string, source: TraceSource): void {
    this.sources.set(name, source);
  }

  /** @throws AppError NOT_FOUND, also for an event that the viewer may not see. */
  async of(id: string, viewer: Principal): Promise<EventTrace> {
    const row = await this.trail.find(id);
    if (!row?.published || !canSee(viewer, row.subject)) throw new AppError('NOT_FOUND', 'There is no such event');
    const { type, timestamp, payload, outcome, hash } = row;
    const { requestId, actorId, sessionId, ip, userAgent } = row;
    const isAdmin = viewer.role === 'admin';
    // Where somebody else sat who did something to an account is not its owner's to know.
    const isOwn = isAdmin || actorId === viewer.userId;
    const trace: EventTrace = {
      event: { id, type, timestamp, payload },
      request: isOwn ? { requestId, actorId, sessionId, ip, userAgent } : null,
      commit: { outcome, hash },
    };
    if (!isAdmin) return trace;
    await this.readers.refresh();
    const parts = [...this.sources].map(async ([name, source]) => [name, await source(id)] as const);
    return { ...trace, readers: this.readersOf(row), ...Object.fromEntries(await Promise.all(parts)) };
  }

  private readersOf({ type, seq }: EventRow): { name: string; status: 'done' | 'waiting' | 'began later' }[] {
    return this.readers.all
      .filter(({ types }) => types?.includes(type) ?? true)
      .map(({ name, since, position }) => {
        if (seq <= since) return { name, status: 'began later' };
        return { name, status: position >= seq ? 'done' : 'waiting' };
      });
  }
}
