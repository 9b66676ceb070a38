import {
  Body,
  Controller,
  CurrentPrincipal,
  Delete,
  Get,
  HttpCode,
  Param,
  Patch,
  Post,
  Query,
  toPage,
  z,
  type Page,
  type Principal,
} from '../../extension-api.js';
import type { Note } from './note.entity.js';
import { Notes } from './notes.service.js';

const text = z.string().trim().min(1, 'is empty').max(10_000, 'is longer than 10000 characters');
const noteBody = z.strictObject({ text });
const listQuery = z.strictObject({
  after: z.uuid('was never a cursor of this list').optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

/** A note as its owner sees it; times in epoch ms. */
const noteView = z.strictObject({ id: z.uuid(), text, createdAt: z.int(), updatedAt: z.int() });
type NoteView = z.infer<typeof noteView>;

/** The caller's own notes. */
@Controller('notes')
export class NotesController {
  constructor(private readonly notes: Notes) {}

  @Get()
  async list(
    @CurrentPrincipal() { userId }: Principal,
    @Query({ schema: listQuery }) { after, limit }: z.infer<typeof listQuery>,
  ): Promise<Page<NoteView>> {
    const notes = await this.notes.list(userId, after, limit + 1);
    return toPage(notes.map(toView), limit, ({ id }) => id);
  }

  @Post()
  async create(
    @CurrentPrincipal() { userId }: Principal,
    @Body({ schema: noteBody }) body: z.infer<typeof noteBody>,
  ): Promise<NoteView> {
    return toView(await this.notes.create(userId, body.text));
  }

  @Get(':id')
  async one(@CurrentPrincipal() { userId }: Principal, @Param('id') id: string): Promise<NoteView> {
    return toView(await this.notes.get(userId, id));
  }

  @Patch(':id')
  async change(
    @CurrentPrincipal() { userId }: Principal,
    @Param('id') id: string,
    @Body({ schema: noteBody }) body: z.infer<typeof noteBody>,
  ): Promise<NoteView> {
    return toView(await this.notes.change(userId, id, body.text));
  }

  @Delete(':id')
  @HttpCode(204)
  async delete(@CurrentPrincipal() { userId }: Principal, @Param('id') id: string): Promise<void> {
    await this.notes.delete(userId, id);
  }
}

function toView({ id, text: has, createdAt, updatedAt }: Note): NoteView {
  return { id, text: has, createdAt, updatedAt };
}
