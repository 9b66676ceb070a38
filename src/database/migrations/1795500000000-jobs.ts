import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The queue of jobs. */
export class Jobs1795500000000 implements MigrationInterface {
  readonly name = 'Jobs1795500000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "jobs" (
        "id" text PRIMARY KEY NOT NULL,
        "type" text NOT NULL,
        "groupKey" text NOT NULL,
        "uniqueKey" text,
        "state" text NOT NULL,
        "priority" integer NOT NULL,
        "runAt" bigint NOT NULL,
        "attempts" integer NOT NULL,
        "crashes" integer NOT NULL,
        "lease" text,
        "payload" text NOT NULL,
        "history" text,
        "createdAt" bigint NOT NULL,
        "startedAt" bigint,
        "finishedAt" bigint
      ) WITHOUT ROWID`,
    );
    await runner.query(
      `CREATE INDEX "jobs_claimable" ON "jobs" ("type", "groupKey", "priority", "runAt") WHERE state IN ('pending', 'failed') AND crashes < 2`,
    );
    await runner.query(
      `CREATE INDEX "jobs_suspect" ON "jobs" ("crashes", "runAt") WHERE state IN ('pending', 'failed') AND crashes >= 2`,
    );
    await runner.query(
      `CREATE UNIQUE INDEX "jobs_unique" ON "jobs" ("type", "uniqueKey") WHERE uniqueKey IS NOT NULL AND state IN ('pending', 'failed', 'processing')`,
    );
    await runner.query(`CREATE INDEX "jobs_by_state" ON "jobs" ("state", "id", "type")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "jobs"`);
  }
}
