import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Writes a package that is no part of this repository, and returns its folder. */
export function writePackage(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'herald-extension-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** An extension in TypeScript as somebody else would write it: a table, routes, an event, a reader, a job, a mail, a check. */
export const NOTES = `
import {
  bigint, Body, Column, Controller, CurrentPrincipal, defineEvent, Documented, defineExtension, type DomainEvent, DurableReader, Entity,
  EventBus, type EventsOf, Get, Inject, Injectable, InjectRepository, type JobContext, JobHandler, JobQueue, JobsModule, type JobTypes,
  type MigrationInterface, Module, OnDomainEvent, type OnModuleInit, Post, type Principal, PrimaryColumn, type QueryRunner,
  ReadinessChecks, type Repository, TypeOrmModule, UnitOfWork, z,
} from 'herald/extension-api';

const events = {
  'note.created': defineEvent({
    description: 'Somebody wrote a note.',
    payload: z.strictObject({ noteId: z.string(), ownerId: z.string() }),
    subject: ({ ownerId }) => ownerId,
  }),
  'note.counted': defineEvent({
    description: 'A note was counted; admins alone see it.',
    payload: z.strictObject({ noteId: z.string() }),
    subject: () => null,
  }),
};
declare module 'herald/extension-api' {
  interface ExtensionEvents extends EventsOf<typeof events> {}
  interface ExtensionMails { 'note-kept': { noteId: string } }
  interface ExtensionJobs { 'note.count': { noteId: string } }
}

@Entity('notes')
class Note {
  @PrimaryColumn({ type: 'text' }) id!: string;
  @Column({ type: 'text' }) ownerId!: string;
  @Column({ type: 'text' }) text!: string;
  @Column(bigint) createdAt!: number;
}

class Notes1796000000000 implements MigrationInterface {
  name = 'Notes1796000000000';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE "notes" ("id" text PRIMARY KEY NOT NULL, "ownerId" text NOT NULL, "text" text NOT NULL, "createdAt" bigint NOT NULL)');
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "notes"');
  }
}

const body = z.strictObject({ text: z.string().min(1).max(1000).meta({ examples: ['Milk'] }) });
const noteView = z.strictObject({ id: z.string(), ownerId: z.string(), text: z.string(), createdAt: z.number() }).meta({ id: 'Note' });

@Controller('notes')
class NotesController {
  constructor(
    @InjectRepository(Note) private readonly notes: Repository<Note>,
    @Inject(UnitOfWork) private readonly unitOfWork: UnitOfWork,
    @Inject(EventBus) private readonly events: EventBus,
  ) {}

  @Get()
  async list(@CurrentPrincipal() { userId }: Principal) {
    return { notes: await this.notes.findBy({ ownerId: userId }) };
  }

  @Post()
  @Documented({ summary: 'Write a note', answer: noteView })
  async create(@CurrentPrincipal() { userId }: Principal, @Body({ schema: body }) { text }: z.infer<typeof body>) {
    const note = { id: crypto.randomUUID(), ownerId: userId, text, createdAt: Date.now() };
    await this.unitOfWork.run(async (tx) => {
      await tx.insert(Note, note);
      await this.events.publish('note.created', { noteId: note.id, ownerId: userId });
    });
    return note;
  }
}

@Injectable()
class NoteReader implements OnModuleInit {
  readonly seen: string[] = [];
  constructor(
    @Inject(JobQueue) private readonly queue: JobQueue,
    @Inject(EventBus) private readonly events: EventBus,
    @Inject(ReadinessChecks) private readonly checks: ReadinessChecks,
  ) {}
  onModuleInit(): void {
    this.checks.add('notes', async () => this.seen.length);
  }
  @OnDomainEvent('note.created')
  onCreated({ payload }: DomainEvent<'note.created'>): void {
    this.seen.push(payload.noteId);
  }
  @DurableReader({ name: 'note-counter', events: ['note.created'] })
  async count({ payload }: DomainEvent<'note.created'>): Promise<void> {
    await this.queue.submit('note.count', { noteId: payload.noteId });
  }
  @JobHandler('note.count')
  async onCount({ noteId }: JobTypes['note.count'], _job: JobContext): Promise<void> {
    await this.events.publish('note.counted', { noteId });
  }
}

@Module({
  imports: [TypeOrmModule.forFeature([Note]), JobsModule.forFeature({ 'note.count': {} })],
  controllers: [NotesController],
  providers: [NoteReader],
})
class NotesModule {}

export default defineExtension({
  name: 'notes',
  version: '1.0.0',
  requires: '^0.1.0',
  events,
  mails: { 'note-kept': ({ noteId }: { noteId: string }) => ({ subject: 'Kept', paragraphs: [noteId] }) },
  entities: [Note],
  migrations: [Notes1796000000000],
  module: NotesModule,
});
`;

/** What the compiler must say of such a package: each mark stands over what it must refuse. */
export const TYPE_TESTS = `
import { Documented, DurableReader, type DomainEvent, type EventBus, type JobQueue, OnDomainEvent, z } from 'herald/extension-api';
import './index.js';

export function typeTests(bus: EventBus, queue: JobQueue): void {
  void bus.publish('note.created', { noteId: '1', ownerId: '2' });
  void bus.publish('login.failed', { email: 'a@example.com' });
  // @ts-expect-error -- nobody declares it
  void bus.publish('note.exploded', { noteId: '1' });
  // @ts-expect-error -- a field is missing
  void bus.publish('note.created', { noteId: '1' });
  // @ts-expect-error -- a wrong kind of field
  void bus.publish('note.created', { noteId: 1, ownerId: '2' });
  void queue.submit('note.count', { noteId: '1' });
  void queue.submit('mail.send', { to: 'a@example.com', template: 'note-kept', data: { noteId: '1' } });
  // @ts-expect-error -- nobody declares it
  void queue.submit('note.explode', { noteId: '1' });
  // @ts-expect-error -- there is no such mail
  void queue.submit('mail.send', { to: 'a@example.com', template: 'note-lost', data: { noteId: '1' } });

  class Listener {
    @OnDomainEvent('note.created')
    fits({ payload }: DomainEvent<'note.created'>): string {
      return payload.ownerId;
    }
    @Documented({ summary: 'Says how many', answer: z.strictObject({ notes: z.int() }) })
    answers(): { notes: number } {
      return { notes: 1 };
    }
    // @ts-expect-error -- the documentation says something else
    @Documented({ summary: 'Says how many', answer: z.strictObject({ notes: z.int() }) })
    lies(): { notes: string } {
      return { notes: 'one' };
    }
    // @ts-expect-error -- nobody declares it
    @OnDomainEvent('note.exploded')
    unknown(): void {}
    // @ts-expect-error -- the method wants another event's payload
    @OnDomainEvent('note.created')
    wrong(_event: DomainEvent<'login.failed'>): void {}
    // @ts-expect-error -- nobody declares it
    @DurableReader({ name: 'x', events: ['note.exploded'] })
    durable(): void {}
  }
  void Listener;
}
`;
