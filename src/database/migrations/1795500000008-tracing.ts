import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Jobs name the event that is their reason, readers where they began: what a trace and the reconciliation go by. Lockouts
 * count for accounts as well as for addresses.
 */
export class Tracing1795500000008 implements MigrationInterface {
  readonly name = 'Tracing1795500000008';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "lockouts" RENAME COLUMN "email" TO "subject"`);
    await runner.query(`ALTER TABLE "jobs" ADD COLUMN "eventId" text`);
    await runner.query(`CREATE INDEX "jobs_by_event" ON "jobs" ("eventId", "type") WHERE eventId IS NOT NULL`);
    await runner.query(
      `UPDATE "jobs" SET "eventId" = (SELECT "eventId" FROM "webhook_deliveries" WHERE "id" = "jobs"."payload"->>'deliveryId')
       WHERE "type" = 'webhook.attempt'`,
    );
    await runner.query(
      `CREATE TABLE "cursors_new" ("reader" text PRIMARY KEY NOT NULL, "seq" bigint NOT NULL, "since" bigint NOT NULL)`,
    );
    // What was read before then left jobs that name no event.
    await runner.query(`INSERT INTO "cursors_new" SELECT "reader", "seq", "seq" FROM "event_cursors"`);
    await runner.query(`DROP TABLE "event_cursors"`);
    await runner.query(`ALTER TABLE "cursors_new" RENAME TO "event_cursors"`);
    await runner.query(`DROP INDEX "IDX_0f357a527f64f417f8855a6cd4"`);
    await runner.query(
      `CREATE INDEX "IDX_8a3f2c44e6d7b7648119511627" ON "webhook_deliveries" ("status", "endpointId", "id")`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX "IDX_8a3f2c44e6d7b7648119511627"`);
    await runner.query(
      `CREATE INDEX "IDX_0f357a527f64f417f8855a6cd4" ON "webhook_deliveries" ("status", "endpointId")`,
    );
    await runner.query(`ALTER TABLE "event_cursors" DROP COLUMN "since"`);
    await runner.query(`DROP INDEX "jobs_by_event"`);
    await runner.query(`ALTER TABLE "jobs" DROP COLUMN "eventId"`);
    await runner.query(`ALTER TABLE "lockouts" RENAME COLUMN "subject" TO "email"`);
  }
}
