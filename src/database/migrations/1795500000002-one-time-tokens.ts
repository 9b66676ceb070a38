import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The tokens that travel by mail. */
export class OneTimeTokens1795500000002 implements MigrationInterface {
  readonly name = 'OneTimeTokens1795500000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "one_time_tokens" (
        "hash" text PRIMARY KEY NOT NULL,
        "userId" text NOT NULL,
        "purpose" text NOT NULL,
        "email" text NOT NULL,
        "expiresAt" bigint NOT NULL,
        CONSTRAINT "FK_c050f9d5e8a16e1a30a98c7257f" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_da21f12bb8473bf575948382c4" ON "one_time_tokens" ("expiresAt")`);
    await runner.query(
      `CREATE UNIQUE INDEX "IDX_91440373eab4daba5207a22b9c" ON "one_time_tokens" ("userId", "purpose")`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "one_time_tokens"`);
  }
}
