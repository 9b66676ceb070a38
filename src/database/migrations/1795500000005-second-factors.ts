import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Authenticator apps and recovery codes. */
export class SecondFactors1795500000005 implements MigrationInterface {
  readonly name = 'SecondFactors1795500000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "totp_factors" (
        "userId" text PRIMARY KEY NOT NULL,
        "secret" text NOT NULL,
        "confirmedAt" bigint,
        "lastStep" bigint,
        CONSTRAINT "FK_ec87d7f0add5de08a0ddca7d41e" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(
      `CREATE TABLE "recovery_codes" (
        "hash" text PRIMARY KEY NOT NULL,
        "userId" text NOT NULL,
        CONSTRAINT "FK_5ab5f51b1ca8fcc0073d76fd3d9" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_5ab5f51b1ca8fcc0073d76fd3d" ON "recovery_codes" ("userId")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE "recovery_codes"`);
    await runner.query(`DROP TABLE "totp_factors"`);
  }
}
