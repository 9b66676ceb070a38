import type { MigrationInterface, QueryRunner } from '../../extension-api.js';

/** Makes the table of the notes. */
export class UserNotes1796000000000 implements MigrationInterface {
  name = 'UserNotes1796000000000';

  async up(runner: QueryRunner): Promise<void> {
    // Compared byte by byte, as SQLite does by itself.
    const text = runner.connection.options.type === 'postgres' ? 'text COLLATE "C"' : 'text';
    await runner.query(`
      CREATE TABLE "user_notes" (
        "id" ${text} PRIMARY KEY NOT NULL,
        "ownerId" ${text} NOT NULL,
        "text" ${text} NOT NULL,
        "createdAt" bigint NOT NULL,
        "updatedAt" bigint NOT NULL
      )`);
    await runner.query('CREATE INDEX "IDX_user_notes_ownerId_id" ON "user_notes" ("ownerId", "id")');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "user_notes"');
  }
}
