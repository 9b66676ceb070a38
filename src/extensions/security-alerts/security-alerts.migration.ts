import type { MigrationInterface, QueryRunner } from '../../extension-api.js';

/** Makes the tables of the security alerts. */
export class SecurityAlerts1796000000001 implements MigrationInterface {
  name = 'SecurityAlerts1796000000001';

  async up(runner: QueryRunner): Promise<void> {
    // Compared byte by byte, as SQLite does by itself.
    const text = runner.connection.options.type === 'postgres' ? 'text COLLATE "C"' : 'text';
    await runner.query(`
      CREATE TABLE "security_failed_logins" (
        "eventId" ${text} PRIMARY KEY NOT NULL,
        "email" ${text} NOT NULL,
        "ip" ${text},
        "at" bigint NOT NULL
      )`);
    for (const [name, columns] of [
      ['email', '"email", "at"'],
      ['ip', '"ip", "at"'],
      ['at', '"at"'],
    ]) {
      await runner.query(`CREATE INDEX "IDX_security_failed_logins_${name}" ON "security_failed_logins" (${columns})`);
    }
    await runner.query(
      `CREATE TABLE "security_raised_alerts" ("key" ${text} PRIMARY KEY NOT NULL, "raisedAt" bigint NOT NULL)`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE "security_raised_alerts"');
    await runner.query('DROP TABLE "security_failed_logins"');
  }
}
