import {
  Body,
  Controller,
  CurrentPrincipal,
  Delete,
  Documented,
  epochMs,
  Get,
  HttpCode,
  pageOf,
  pageQuery,
  Param,
  Patch,
  Post,
  Query,
  toPage,
  uuid,
  z,
  type Page,
  type Principal,
} from '../../extension-api.js';
import type { Note } from './note.entity.js';
import { Notes } from './notes.service.js';

const text = z
  .string()
  .trim()
  .min(1, 'is empty')
  .max(10_000, 'is longer than 10000 characters')
  .meta({ examples: ['Call Ada back'] });
const noteBody = z.strictObject({ text });
const listQuery = z.strictObject({
  ...pageQuery,
  after: z
    .uuid('was never a cursor of this list')
    .optional()
    .meta({ description: 'The `nextCursor` of the page before.' }),
});
/** A note as its owner sees it. */
const noteView = z.strictObject({ id: uuid, text, createdAt: epochMs, updatedAt: epochMs }).meta({ id: 'Note' });
type NoteView = z.infer<typeof noteView>;

/** What the routes of one note have in common. */
const ofOne = { params: { id: uuid }, errors: { NOT_FOUND: 'The caller has no such note.' } };

/** The caller's own notes. */
@Controller('notes')
export class NotesController {
  constructor(private readonly notes: Notes) {}

  @Get()
  @Documented({ summary: 'List your notes, the newest first', answer: pageOf(noteView) })
  async list(
    @CurrentPrincipal() { userId }: Principal,
    @Query({ schema: listQuery }) { after, limit }: z.infer<typeof listQuery>,
  ): Promise<Page<NoteView>> {
    const notes = await this.notes.list(userId, after, limit + 1);
    return toPage(notes.map(toView), limit, ({ id }) => id);
  }

  @Post()
  @Documented({ summary: 'Write a note', answer: noteView })
  async create(
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: noteBody }) body: z.infer<typeof noteBody>,
  ): Promise<NoteView> {
    return toView(await this.notes.create(userId, body.text));
  }

  @Get(':id')
  @Documented({ summary: 'Read a note', answer: noteView, ...ofOne })
  async one(@CurrentPrincipal() { userId }: Principal, @Param('id') id: string): Promise<NoteView> {
    return toView(await this.notes.get(userId, id));
  }

  @Patch(':id')
  @Documented({ summary: 'Change a note', answer: noteView, ...ofOne })
  async change(
    @CurrentPrincipal() { userId }: Principal,
    @Param('id') id: string,
    @Body({ schema: noteBody }) body: z.infer<typeof noteBody>,
  ): Promise<NoteView> {
    return toView(await this.notes.change(userId, id, body.text));
  }

  @Delete(':id')
  @HttpCode(204)
  @Documented({ summary: 'Delete a note', ...ofOne })
  async delete(@CurrentPrincipal() { userId }: Principal, @Param('id') id: string): Promise<void> {
    await this.notes.delete(userId, id);
  }
}

function toView({ id, text: has, createdAt, updatedAt }: Note): NoteView {
  return { id, text: has, createdAt, updatedAt };
}
