import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Keys for programs. */
export class ApiKeys1795500000004 implements MigrationInterface {
  readonly name = 'ApiKeys1795500000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "api_keys" (
        "id" text PRIMARY KEY NOT NULL,
        "userId" text NOT NULL,
        "name" text NOT NULL,
        "hash" text NOT NULL,
        "prefix" text NOT NULL,
        "scopes" text NOT NULL,
        "expiresAt" bigint,
        "lastUsedAt" bigint,
        "createdAt" bigint NOT NULL,
        CONSTRAINT "UQ_598a14447f592c12d1fe22ba918" UNIQUE ("hash"),
        CONSTRAINT "FK_6c2e267ae764a9413b863a29342" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_6c2e267ae764a9413b863a2934" ON "api_keys" ("userId")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "api_keys"`);
  }
}
