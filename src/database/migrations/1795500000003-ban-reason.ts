import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Why an account is banned, and the order in which admins see accounts. */
export class BanReason1795500000003 implements MigrationInterface {
  readonly name = 'BanReason1795500000003';

  async up(runner: QueryRunner): Promise<void> {
    // Added in place: rebuilding the table, as a generated migration would, would drop what hangs on its rows.
    await runner.query(`ALTER TABLE "users" ADD COLUMN "banReason" text`);
    await runner.query(`CREATE INDEX "IDX_603379383366b71239acc25e26" ON "users" ("createdAt", "id")`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX "IDX_603379383366b71239acc25e26"`);
    await runner.query(`ALTER TABLE "users" DROP COLUMN "banReason"`);
  }
}
