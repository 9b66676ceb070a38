import type { MigrationInterface, QueryRunner } from 'herald/extension-api';

/** Makes the table of the items. A migration that has run somewhere is never changed: add another one. */
export class MyExtension1796000000000 implements MigrationInterface {
  name = 'MyExtension1796000000000';

  async up(runner: QueryRunner): Promise<void> {
    // Compared byte by byte, as SQLite does by itself.
    const text = runner.connection.options.type === 'postgres' ? 'text COLLATE "C"' : 'text';
    await runner.query(`
      CREATE TABLE "my_extension_items" (
        "id" ${text} PRIMARY KEY NOT NULL,
        "ownerId" ${text} NOT NULL,
        "name" ${text} NOT NULL,
        "createdAt" bigint NOT NULL
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "my_extension_items"');
  }
}
