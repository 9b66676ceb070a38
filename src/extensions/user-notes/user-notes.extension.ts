import { defineExtension, Module, TypeOrmModule } from '../../extension-api.js';
import { Note } from './note.entity.js';
import { NotesController } from './notes.controller.js';
import { noteEvents } from './notes.events.js';
import { Notes } from './notes.service.js';
import { UserNotes1796000000000 } from './user-notes.migration.js';

@Module({
  imports: [TypeOrmModule.forFeature([Note])],
  controllers: [NotesController],
  providers: [Notes],
})
class UserNotesModule {}

/** Notes that everybody keeps for themselves: a table, routes and events. Shows what an extension is made of. */
export default defineExtension({
  name: 'user-notes',
  version: '1.0.0',
  requires: '^0.1.0',
  events: noteEvents,
  entities: [Note],
  migrations: [UserNotes1796000000000],
  module: UserNotesModule,
});
