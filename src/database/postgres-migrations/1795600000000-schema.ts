import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Bytes in their own order, as SQLite compares: ids and times are read by ranges of their text, and the collation of a
 * language would look past their dashes.
 */
const TEXT = 'text COLLATE "C"';

/** Everything that the migrations of SQLite up to `1795500000012` come to, except jobs, which pg-boss keeps here. */
export class PostgresSchema1795600000000 implements MigrationInterface {
  readonly name = 'PostgresSchema1795600000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE "users" (
        "id" ${TEXT} NOT NULL,
        "email" ${TEXT} NOT NULL,
        "passwordHash" ${TEXT} NOT NULL,
        "role" ${TEXT} NOT NULL,
        "emailVerified" boolean NOT NULL DEFAULT false,
        "mfaEnabled" boolean NOT NULL DEFAULT false,
        "bannedAt" bigint,
        "banReason" ${TEXT},
        "createdAt" bigint NOT NULL,
        "updatedAt" bigint NOT NULL,
        CONSTRAINT "UQ_97672ac88f789774dd47f7c8be3" UNIQUE ("email"),
        CONSTRAINT "PK_a3ffb1c0c8416b9fc6f907b7433" PRIMARY KEY ("id")
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_603379383366b71239acc25e26" ON "users" ("createdAt", "id")`);
    await runner.query(
      `CREATE TABLE "sessions" (
        "id" ${TEXT} NOT NULL,
        "userId" ${TEXT} NOT NULL,
        "ip" ${TEXT},
        "userAgent" ${TEXT},
        "createdAt" bigint NOT NULL,
        "lastUsedAt" bigint NOT NULL,
        "expiresAt" bigint NOT NULL,
        CONSTRAINT "PK_3238ef96f18b355b671619111bc" PRIMARY KEY ("id"),
        CONSTRAINT "FK_57de40bc620f456c7311aa3a1e6" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_57de40bc620f456c7311aa3a1e" ON "sessions" ("userId")`);
    await runner.query(`CREATE INDEX "IDX_50762206f116cd47d1c3fec396" ON "sessions" ("expiresAt")`);
    await runner.query(
      `CREATE TABLE "refresh_tokens" (
        "hash" ${TEXT} NOT NULL,
        "sessionId" ${TEXT} NOT NULL,
        "parentHash" ${TEXT},
        "usedAt" bigint,
        "expiresAt" bigint NOT NULL,
        CONSTRAINT "PK_2cf4b2a681a38f8044d688b9ccb" PRIMARY KEY ("hash"),
        CONSTRAINT "FK_b25a58a00578bd1b7a01623d2dd" FOREIGN KEY ("sessionId") REFERENCES "sessions" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_b25a58a00578bd1b7a01623d2d" ON "refresh_tokens" ("sessionId")`);
    await runner.query(`CREATE INDEX "IDX_600686dd7f12fe8b6b8d4aa556" ON "refresh_tokens" ("parentHash")`);
    await runner.query(`CREATE INDEX "IDX_56b91d98f71e3d1b649ed6e9f3" ON "refresh_tokens" ("expiresAt")`);
    await runner.query(
      `CREATE TABLE "lockouts" (
        "subject" ${TEXT} NOT NULL,
        "failures" integer NOT NULL,
        "lockedUntil" bigint,
        "lastFailureAt" bigint NOT NULL,
        CONSTRAINT "PK_206cdf1cbe7dcaaae88c08085f9" PRIMARY KEY ("subject")
      )`,
    );
    await runner.query(`CREATE INDEX "lockouts_by_end" ON "lockouts" ("lockedUntil") WHERE "lockedUntil" IS NOT NULL`);
    await runner.query(
      `CREATE TABLE "one_time_tokens" (
        "hash" ${TEXT} NOT NULL,
        "userId" ${TEXT} NOT NULL,
        "purpose" ${TEXT} NOT NULL,
        "email" ${TEXT} NOT NULL,
        "expiresAt" bigint NOT NULL,
        CONSTRAINT "PK_e62a8808422ca61c37271723412" PRIMARY KEY ("hash"),
        CONSTRAINT "FK_c050f9d5e8a16e1a30a98c7257f" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_da21f12bb8473bf575948382c4" ON "one_time_tokens" ("expiresAt")`);
    await runner.query(
      `CREATE UNIQUE INDEX "IDX_91440373eab4daba5207a22b9c" ON "one_time_tokens" ("userId", "purpose")`,
    );
    await runner.query(
      `CREATE TABLE "stream_tickets" (
        "hash" ${TEXT} NOT NULL,
        "sessionId" ${TEXT} NOT NULL,
        "isKey" boolean NOT NULL,
        "principalExpiresAt" bigint NOT NULL,
        "expiresAt" bigint NOT NULL,
        CONSTRAINT "PK_a9a0310edc2d66272b02c4b5574" PRIMARY KEY ("hash")
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_9701154757efdf3d23cb3e6bd6" ON "stream_tickets" ("expiresAt")`);
    await runner.query(
      `CREATE TABLE "api_keys" (
        "id" ${TEXT} NOT NULL,
        "userId" ${TEXT} NOT NULL,
        "name" ${TEXT} NOT NULL,
        "hash" ${TEXT} NOT NULL,
        "prefix" ${TEXT} NOT NULL,
        "scopes" ${TEXT} NOT NULL,
        "expiresAt" bigint,
        "lastUsedAt" bigint,
        "createdAt" bigint NOT NULL,
        CONSTRAINT "UQ_598a14447f592c12d1fe22ba918" UNIQUE ("hash"),
        CONSTRAINT "PK_5c8a79801b44bd27b79228e1dad" PRIMARY KEY ("id"),
        CONSTRAINT "FK_6c2e267ae764a9413b863a29342" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_6c2e267ae764a9413b863a2934" ON "api_keys" ("userId")`);
    await runner.query(
      `CREATE TABLE "totp_factors" (
        "userId" ${TEXT} NOT NULL,
        "secret" ${TEXT} NOT NULL,
        "confirmedAt" bigint,
        "lastStep" bigint,
        CONSTRAINT "PK_ec87d7f0add5de08a0ddca7d41e" PRIMARY KEY ("userId"),
        CONSTRAINT "FK_ec87d7f0add5de08a0ddca7d41e" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(
      `CREATE TABLE "recovery_codes" (
        "hash" ${TEXT} NOT NULL,
        "userId" ${TEXT} NOT NULL,
        CONSTRAINT "PK_f5f09fe7b3fdeb41d35d94b8079" PRIMARY KEY ("hash"),
        CONSTRAINT "FK_5ab5f51b1ca8fcc0073d76fd3d9" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_5ab5f51b1ca8fcc0073d76fd3d" ON "recovery_codes" ("userId")`);
    await runner.query(
      `CREATE TABLE "password_history" (
        "id" bigserial NOT NULL,
        "userId" ${TEXT} NOT NULL,
        "hash" ${TEXT} NOT NULL,
        CONSTRAINT "PK_da65ed4600e5e6bc9315754a8b2" PRIMARY KEY ("id"),
        CONSTRAINT "FK_20c510e5ca12f63b0c915c3e2df" FOREIGN KEY ("userId") REFERENCES "users" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_20c510e5ca12f63b0c915c3e2d" ON "password_history" ("userId")`);
    await runner.query(
      `CREATE TABLE "events" (
        "seq" bigint NOT NULL,
        "id" ${TEXT} NOT NULL,
        "type" ${TEXT} NOT NULL,
        "subject" ${TEXT} NOT NULL,
        "timestamp" ${TEXT} NOT NULL,
        "payload" ${TEXT} NOT NULL,
        "requestId" ${TEXT},
        "actorId" ${TEXT},
        "sessionId" ${TEXT},
        "ip" ${TEXT},
        "userAgent" ${TEXT},
        "published" boolean NOT NULL,
        "outcome" ${TEXT} NOT NULL,
        "details" ${TEXT},
        "previousHash" ${TEXT},
        "hash" ${TEXT},
        CONSTRAINT "UQ_40731c7151fe4be3116e45ddf73" UNIQUE ("id"),
        CONSTRAINT "PK_44840d7c5944a3bfbf21a6113d8" PRIMARY KEY ("seq")
      )`,
    );
    await runner.query(
      `CREATE INDEX "IDX_e8a2b69a6c9c3004c5297d1672" ON "events" ("actorId", "seq") WHERE "actorId" IS NOT NULL`,
    );
    await runner.query(`CREATE INDEX "IDX_ee09f33675c4186017a097d8a8" ON "events" ("type", "seq")`);
    await runner.query(`CREATE INDEX "IDX_63c6e011bfa4cac332642a8e83" ON "events" ("subject", "seq")`);
    await runner.query(
      `CREATE TABLE "event_cursors" (
        "reader" ${TEXT} NOT NULL,
        "seq" bigint NOT NULL,
        "since" bigint NOT NULL,
        CONSTRAINT "PK_af3800de65507ece55d2a2be793" PRIMARY KEY ("reader")
      )`,
    );
    await runner.query(
      `CREATE TABLE "webhook_endpoints" (
        "id" ${TEXT} NOT NULL,
        "url" ${TEXT} NOT NULL,
        "events" ${TEXT} NOT NULL,
        "description" ${TEXT},
        "secret" ${TEXT} NOT NULL,
        "previousSecret" ${TEXT},
        "previousSecretUntil" bigint,
        "disabledAt" bigint,
        "disabledReason" ${TEXT},
        "failingSince" bigint,
        "createdAt" bigint NOT NULL,
        "updatedAt" bigint NOT NULL,
        CONSTRAINT "PK_054c4cfb95223732f5939d2d546" PRIMARY KEY ("id")
      )`,
    );
    await runner.query(
      `CREATE TABLE "webhook_deliveries" (
        "id" ${TEXT} NOT NULL,
        "endpointId" ${TEXT} NOT NULL,
        "eventId" ${TEXT} NOT NULL,
        "eventType" ${TEXT} NOT NULL,
        "body" ${TEXT} NOT NULL,
        "status" ${TEXT} NOT NULL,
        "attempts" integer NOT NULL,
        "step" integer NOT NULL,
        "hostFailures" integer NOT NULL,
        "retries" boolean NOT NULL,
        "nextAttemptAt" bigint,
        "createdAt" bigint NOT NULL,
        "finishedAt" bigint,
        CONSTRAINT "PK_535dd409947fb6d8fc6dfc0112a" PRIMARY KEY ("id"),
        CONSTRAINT "FK_9f63fc91ff6cbd3f8238b9a7812" FOREIGN KEY ("endpointId") REFERENCES "webhook_endpoints" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_981677c4e790567f3306581e0b" ON "webhook_deliveries" ("eventId")`);
    await runner.query(
      `CREATE INDEX "IDX_8a3f2c44e6d7b7648119511627" ON "webhook_deliveries" ("status", "endpointId", "id")`,
    );
    await runner.query(`CREATE INDEX "IDX_8492559de5e0671f0f59f8d8c2" ON "webhook_deliveries" ("endpointId", "id")`);
    await runner.query(
      `CREATE TABLE "webhook_attempts" (
        "id" bigserial NOT NULL,
        "deliveryId" ${TEXT} NOT NULL,
        "number" integer NOT NULL,
        "at" bigint NOT NULL,
        "durationMs" integer NOT NULL,
        "status" integer,
        "response" ${TEXT},
        "error" ${TEXT},
        CONSTRAINT "PK_2de7e7887ad97de459adab62638" PRIMARY KEY ("id"),
        CONSTRAINT "FK_62224942858bc1f0d1bc7fe74e1" FOREIGN KEY ("deliveryId") REFERENCES "webhook_deliveries" ("id") ON DELETE CASCADE ON UPDATE NO ACTION
      )`,
    );
    await runner.query(`CREATE INDEX "IDX_62224942858bc1f0d1bc7fe74e" ON "webhook_attempts" ("deliveryId")`);
    await runner.query(`CREATE INDEX "webhook_attempts_by_time" ON "webhook_attempts" ("at", "status")`);
    await runner.query(
      `CREATE TABLE "extensions" (
        "name" ${TEXT} NOT NULL,
        "version" ${TEXT} NOT NULL,
        "installedAt" bigint NOT NULL,
        CONSTRAINT "PK_049b5a9a1938e67b19196c7cfea" PRIMARY KEY ("name")
      )`,
    );
    // Of instances, and so of PostgreSQL alone: who does what only one of them may do, and how often an address has asked.
    await runner.query(
      `CREATE TABLE "leases" ("name" ${TEXT} PRIMARY KEY NOT NULL, "owner" ${TEXT} NOT NULL, "until" timestamptz NOT NULL)`,
    );
    // Not written ahead: a crash of the server may forget a minute's counts.
    await runner.query(
      `CREATE UNLOGGED TABLE "rate_limits" ("key" ${TEXT} PRIMARY KEY NOT NULL, "count" integer NOT NULL, "until" timestamptz NOT NULL)`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of TABLES.toReversed()) await runner.query(`DROP TABLE "${table}"`);
  }
}

const TABLES = [
  'users',
  'sessions',
  'refresh_tokens',
  'lockouts',
  'one_time_tokens',
  'stream_tickets',
  'api_keys',
  'totp_factors',
  'recovery_codes',
  'password_history',
  'events',
  'event_cursors',
  'webhook_endpoints',
  'webhook_deliveries',
  'webhook_attempts',
  'extensions',
  'leases',
  'rate_limits',
];
