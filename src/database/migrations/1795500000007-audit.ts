import type { MigrationInterface, QueryRunner } from 'typeorm';

const COLUMNS = `"seq", "id", "type", "subject", "timestamp", "payload", "requestId", "actorId", "sessionId", "ip", "userAgent"`;

/** The journal becomes the audit trail: acts beside events, outcomes, and the chain of hashes, which begins here. */
export class Audit1795500000007 implements MigrationInterface {
  readonly name = 'Audit1795500000007';

  async up(runner: QueryRunner): Promise<void> {
    await this.rebuild(
      runner,
      `, "published" boolean NOT NULL, "outcome" text NOT NULL, "details" text, "previousHash" text, "hash" text`,
      `, "published", "outcome"`,
      `, 1, CASE "type" WHEN 'login.failed' THEN 'failure' ELSE 'success' END`,
    );
    await runner.query(
      `CREATE INDEX "IDX_e8a2b69a6c9c3004c5297d1672" ON "events" ("actorId", "seq") WHERE "actorId" IS NOT NULL`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DELETE FROM "events" WHERE NOT "published"`);
    await this.rebuild(runner, '', '', '');
  }

  /** SQLite cannot add a column that must not be null: the rows move to a new table. */
  private async rebuild(runner: QueryRunner, definitions: string, names: string, values: string): Promise<void> {
    await runner.query(
      `CREATE TABLE "events_new" (
        "seq" integer PRIMARY KEY AUTOINCREMENT NOT NULL,
        "id" text NOT NULL,
        "type" text NOT NULL,
        "subject" text NOT NULL,
        "timestamp" text NOT NULL,
        "payload" text NOT NULL,
        "requestId" text,
        "actorId" text,
        "sessionId" text,
        "ip" text,
        "userAgent" text${definitions},
        CONSTRAINT "UQ_40731c7151fe4be3116e45ddf73" UNIQUE ("id")
      )`,
    );
    await runner.query(`INSERT INTO "events_new" (${COLUMNS}${names}) SELECT ${COLUMNS}${values} FROM "events"`);
    await runner.query(`DROP TABLE "events"`);
    await runner.query(`ALTER TABLE "events_new" RENAME TO "events"`);
    await runner.query(`CREATE INDEX "IDX_63c6e011bfa4cac332642a8e83" ON "events" ("subject", "seq")`);
    await runner.query(`CREATE INDEX "IDX_ee09f33675c4186017a097d8a8" ON "events" ("type", "seq")`);
  }
}
