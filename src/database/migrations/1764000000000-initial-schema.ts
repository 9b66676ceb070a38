import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Accounts, sessions, refresh tokens, lockouts, and the journal with its readers' cursors. */
export class InitialSchema1764000000000 implements MigrationInterface {
  readonly name = 'InitialSchema1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "users" (
        "id" text PRIMARY KEY NOT NULL,
        "email" text NOT NULL,
        "passwordHash" text NOT NULL,
        "role" text NOT NULL,
        "emailVerified" boolean NOT NULL DEFAULT (0),
        "mfaEnabled" boolean NOT NULL DEFAULT (0),
        "bannedAt" bigint,
        "createdAt" bigint NOT NULL,
        "updatedAt" bigint NOT NULL,
        CONSTRAINT "UQ_97672ac88f789774dd47f7c8be3" UNIQUE ("email")
      )`,
    );
    await runner.query(
      `CREATE TABLE "sessions" (
        "id" text PRIMARY KEY NOT NULL,
        "userId" text NOT NULL,
        "ip" text,
        "userAgent" text,
        "createdAt" bigint NOT NULL,
        "lastUsedAt" bigint NOT NULL,
        "expiresAt" bigint NOT NULL,
        CONSTRAINT "FK_57de40bc620f456c7311aa3a1e6" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_57de40bc620f456c7311aa3a1e" ON "sessions" ("userId")`);
    await runner.query(`CREATE INDEX "IDX_50762206f116cd47d1c3fec396" ON "sessions" ("expiresAt")`);
    await runner.query(
      `CREATE TABLE "refresh_tokens" (
        "hash" text PRIMARY KEY NOT NULL,
        "sessionId" text NOT NULL,
        "parentHash" text,
        "usedAt" bigint,
        "expiresAt" bigint NOT NULL,
        CONSTRAINT "FK_b25a58a00578bd1b7a01623d2dd" FOREIGN KEY ("sessionId") REFERENCES "sessions" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_b25a58a00578bd1b7a01623d2d" ON "refresh_tokens" ("sessionId")`);
    await runner.query(`CREATE INDEX "IDX_600686dd7f12fe8b6b8d4aa556" ON "refresh_tokens" ("parentHash")`);
    await runner.query(`CREATE INDEX "IDX_56b91d98f71e3d1b649ed6e9f3" ON "refresh_tokens" ("expiresAt")`);
    await runner.query(
      `CREATE TABLE "lockouts" (
        "email" text PRIMARY KEY NOT NULL,
        "failures" integer NOT NULL,
        "lockedUntil" bigint,
        "lastFailureAt" bigint NOT NULL
      )`,
    );
    await runner.query(
      `CREATE TABLE "events" (
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
        "userAgent" text,
        CONSTRAINT "UQ_40731c7151fe4be3116e45ddf73" UNIQUE ("id")
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_63c6e011bfa4cac332642a8e83" ON "events" ("subject", "seq")`);
    await runner.query(`CREATE INDEX "IDX_ee09f33675c4186017a097d8a8" ON "events" ("type", "seq")`);
    await runner.query(`CREATE TABLE "event_cursors" ("reader" text PRIMARY KEY NOT NULL, "seq" bigint NOT NULL)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['event_cursors', 'events', 'lockouts', 'refresh_tokens', 'sessions', 'users']) {
      await runner.query(`DROP TABLE "${table}"`);
    }
  }
}
