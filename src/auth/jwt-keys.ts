import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Logger } from '@nestjs/common';
import type { Config } from '../config/config.js';

/**
 * Returns the HS256 keys, the one that signs first.
 *
 * Without `JWT_SECRET`, which only development allows, a random key is made once and kept beside the database, so
 * that tokens survive a restart.
 */
export function loadJwtKeys(config: Config): [string, ...string[]] {
  const [first, ...others] = config.JWT_SECRET ?? [];
  if (first !== undefined) return [first, ...others];
  const file = `${config.DATABASE_URL.file}.jwt-secret`;
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    // Renamed into place, so that a crash leaves a whole key or none.
    writeFileSync(`${file}.new`, randomBytes(48).toString('base64'), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    new Logger('JwtKeys').warn(`JWT_SECRET is not set: made a random one for development and keep it in ${file}`);
  }
  return [readFileSync(file, 'utf8').trim()];
}
