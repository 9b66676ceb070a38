import {
  AccountLookup,
  AppError,
  DurableReader,
  EventBus,
  Injectable,
  InjectRepository,
  LessThan,
  timeOrderedId,
  UnitOfWork,
  type DomainEvent,
  type Repository,
} from '../../extension-api.js';
import { Note } from './note.entity.js';

/** Owns the notes and publishes what happens to them. Nobody reaches a note of somebody else: for them there is none. */
@Injectable()
export class Notes {
  constructor(
    @InjectRepository(Note) private readonly notes: Repository<Note>,
    private readonly unitOfWork: UnitOfWork,
    private readonly events: EventBus,
    private readonly accounts: AccountLookup,
  ) {}

  /** Lists notes of an owner, the newest first. @param after - the id of the last note of the page before. */
  async list(ownerId: string, after: string | undefined, limit: number): Promise<Note[]> {
    const where = { ownerId, ...(after !== undefined && { id: LessThan(after) }) };
    return this.notes.find({ where, order: { id: 'DESC' }, take: limit });
  }

  /** Returns one. @throws AppError NOT_FOUND */
  async get(ownerId: string, id: string): Promise<Note> {
    return (await this.notes.findOneBy({ id, ownerId })) ?? refuse();
  }

  /** Writes a note and publishes `note.created`. @throws AppError UNAUTHORIZED when the account is gone meanwhile. */
  async create(ownerId: string, text: string): Promise<Note> {
    const now = Date.now();
    const note = { id: timeOrderedId(), ownerId, text, createdAt: now, updatedAt: now };
    await this.unitOfWork.run(async (tx) => {
      // Asked inside the unit: a request that its account's deletion has overtaken would leave a note for ever.
      if (!(await this.accounts.hold(ownerId))) throw new AppError('UNAUTHORIZED', 'Authentication required');
      await tx.insert(Note, note);
      await this.events.publish('note.created', { noteId: note.id, userId: ownerId });
    });
    return note;
  }

  /** Changes a note and publishes `note.updated`. @throws AppError NOT_FOUND */
  async change(ownerId: string, id: string, text: string): Promise<Note> {
    await this.unitOfWork.run(async (tx) => {
      const { affected } = await tx.update(Note, { id, ownerId }, { text, updatedAt: Date.now() });
      if (!affected) refuse();
      await this.events.publish('note.updated', { noteId: id, userId: ownerId });
    });
    return this.get(ownerId, id);
  }

  /** Deletes a note and publishes `note.deleted`. @throws AppError NOT_FOUND */
  async delete(ownerId: string, id: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const { affected } = await tx.delete(Note, { id, ownerId });
      if (!affected) refuse();
      await this.events.publish('note.deleted', { noteId: id, userId: ownerId });
    });
  }

  /** An account that is gone takes its notes with it, also when the process ends in between. */
  @DurableReader({ name: 'user-notes', events: ['user.deleted'] })
  async deleteAllOf({ payload }: DomainEvent<'user.deleted'>): Promise<void> {
    await this.unitOfWork.run((tx) => tx.delete(Note, { ownerId: payload.userId }));
  }
}

function refuse(): never {
  throw new AppError('NOT_FOUND', 'There is no such note');
}
