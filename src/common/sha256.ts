import { createHash } from 'node:crypto';

/** Hashes a random token for storage, as hex: enough entropy makes a slow hash needless. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
