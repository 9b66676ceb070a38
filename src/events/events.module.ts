import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { EventEmitterModule } from '@nestjs/event-emitter';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuditTrail } from './audit-trail.service.js';
import { EventBus } from './event-bus.js';
import { EventCounts } from './event-counts.service.js';
import { EventCursor } from './event-cursor.entity.js';
import { EventJournal } from './event-journal.service.js';
import { EventRelay } from './event-relay.service.js';
import { EventRetention } from './event-retention.service.js';
import { EventTraces } from './event-traces.service.js';
import { EventRow } from './event.entity.js';
import { EventsController } from './events.controller.js';
import { JournalEnd } from './journal-end.service.js';
import { JournalReaders } from './journal-readers.service.js';
import { JournalWriter } from './journal-writer.service.js';
import { DomainEventExplorer } from './on-domain-event.js';
import { Reconciliation } from './reconciliation.service.js';

/** The spine: the catalogue of events, the bus to publish and subscribe, the journal, and the relay between them. */
@Global()
@Module({
  imports: [
    TypeOrmModule.forFeature([EventRow, EventCursor]),
    EventEmitterModule.forRoot({ wildcard: true, maxListeners: 0 }),
    DiscoveryModule,
  ],
  controllers: [EventsController],
  providers: [
    JournalWriter,
    JournalEnd,
    EventJournal,
    AuditTrail,
    EventTraces,
    Reconciliation,
    JournalReaders,
    EventBus,
    EventCounts,
    EventRelay,
    EventRetention,
    DomainEventExplorer,
  ],
  exports: [EventBus, EventCounts, EventJournal, AuditTrail, EventTraces, Reconciliation, JournalReaders, EventRelay],
})
export class EventsModule {}
