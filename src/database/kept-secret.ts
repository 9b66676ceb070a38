import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Returns the random secret kept in a file, in base64, making it the first time; for development, where nobody sets one.
 *
 * @param onMade - told when it had to be made.
 */
export function keptSecret(file: string, bytes: number, onMade: (file: string) => void): string {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    // Renamed into place, so that a crash leaves a whole secret or none.
    writeFileSync(`${file}.new`, randomBytes(bytes).toString('base64'), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    onMade(file);
  }
  return readFileSync(file, 'utf8').trim();
}
