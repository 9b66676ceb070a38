import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tickets for streams. */
export class StreamTickets1795500000009 implements MigrationInterface {
  readonly name = 'StreamTickets1795500000009';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "stream_tickets" (
        "hash" text PRIMARY KEY NOT NULL,
        "sessionId" text NOT NULL,
        "isKey" boolean NOT NULL,
        "principalExpiresAt" bigint NOT NULL,
        "expiresAt" bigint NOT NULL
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_9701154757efdf3d23cb3e6bd6" ON "stream_tickets" ("expiresAt")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "stream_tickets"`);
  }
}
