import { Logger } from '@nestjs/common';
import type { Config } from '../config/config.js';
import { keptSecret } from '../database/kept-secret.js';

/**
 * Returns the HS256 keys, the one that signs first.
 *
 * Without `JWT_SECRET`, which only development allows, a random key is made once and kept beside the database, so
 * that tokens survive a restart.
 */
export function loadJwtKeys(config: Config): [string, ...string[]] {
  const [first, ...others] = config.JWT_SECRET ?? [];
  if (first !== undefined) return [first, ...others];
  const announce = (file: string) =>
    new Logger('JwtKeys').warn(`JWT_SECRET is not set: made a random one for development, kept in ${file}`);
  return [keptSecret(config.keptSecretFile('jwt-secret'), 48, announce)];
}
