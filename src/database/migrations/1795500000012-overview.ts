import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the overview asks for: webhook requests by time, and the locks that last. */
export class Overview1795500000012 implements MigrationInterface {
  readonly name = 'Overview1795500000012';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE INDEX "webhook_attempts_by_time" ON "webhook_attempts" ("at", "status")`);
    await runner.query(`CREATE INDEX "lockouts_by_end" ON "lockouts" ("lockedUntil") WHERE "lockedUntil" IS NOT NULL`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX "lockouts_by_end"`);
    await runner.query(`DROP INDEX "webhook_attempts_by_time"`);
  }
}
