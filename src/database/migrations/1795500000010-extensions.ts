import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The extensions that were installed at some time. */
export class Extensions1795500000010 implements MigrationInterface {
  readonly name = 'Extensions1795500000010';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "extensions" (
        "name" text PRIMARY KEY NOT NULL,
        "version" text NOT NULL,
        "installedAt" bigint NOT NULL
      )`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "extensions"`);
  }
}
