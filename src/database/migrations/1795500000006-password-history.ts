import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The passwords that accounts had before. */
export class PasswordHistory1795500000006 implements MigrationInterface {
  readonly name = 'PasswordHistory1795500000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "password_history" (
        "id" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
        "userId" text NOT NULL,
        "hash" text NOT NULL,
        CONSTRAINT "FK_20c510e5ca12f63b0c915c3e2df" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_20c510e5ca12f63b0c915c3e2d" ON "password_history" ("userId")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "password_history"`);
  }
}
