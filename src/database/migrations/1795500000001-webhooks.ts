import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Webhook endpoints, what is sent to them, and every attempt. */
export class Webhooks1795500000001 implements MigrationInterface {
  readonly name = 'Webhooks1795500000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "webhook_endpoints" (
        "id" text PRIMARY KEY NOT NULL,
        "url" text NOT NULL,
        "events" text NOT NULL,
        "description" text,
        "secret" text NOT NULL,
        "previousSecret" text,
        "previousSecretUntil" bigint,
        "disabledAt" bigint,
        "disabledReason" text,
        "failingSince" bigint,
        "createdAt" bigint NOT NULL,
        "updatedAt" bigint NOT NULL
      )`,
    );
    await runner.query(
      `CREATE TABLE "webhook_deliveries" (
        "id" text PRIMARY KEY NOT NULL,
        "endpointId" text NOT NULL,
        "eventId" text NOT NULL,
        "eventType" text NOT NULL,
        "body" text NOT NULL,
        "status" text NOT NULL,
        "attempts" integer NOT NULL,
        "step" integer NOT NULL,
        "hostFailures" integer NOT NULL,
        "retries" boolean NOT NULL,
        "nextAttemptAt" bigint,
        "createdAt" bigint NOT NULL,
        "finishedAt" bigint,
        CONSTRAINT "FK_9f63fc91ff6cbd3f8238b9a7812" FOREIGN KEY ("endpointId") REFERENCES "webhook_endpoints" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_981677c4e790567f3306581e0b" ON "webhook_deliveries" ("eventId")`);
    await runner.query(
      `CREATE INDEX "IDX_0f357a527f64f417f8855a6cd4" ON "webhook_deliveries" ("status", "endpointId")`,
    );
    await runner.query(`CREATE INDEX "IDX_8492559de5e0671f0f59f8d8c2" ON "webhook_deliveries" ("endpointId", "id")`);
    await runner.query(
      `CREATE TABLE "webhook_attempts" (
        "id" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
        "deliveryId" text NOT NULL,
        "number" integer NOT NULL,
        "at" bigint NOT NULL,
        "durationMs" integer NOT NULL,
        "status" integer,
        "response" text,
        "error" text,
        CONSTRAINT "FK_62224942858bc1f0d1bc7fe74e1" FOREIGN KEY ("deliveryId") REFERENCES "webhook_deliveries" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_62224942858bc1f0d1bc7fe74e" ON "webhook_attempts" ("deliveryId")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['webhook_attempts', 'webhook_deliveries', 'webhook_endpoints']) {
      await runner.query(`DROP TABLE "${table}"`);
    }
  }
}
