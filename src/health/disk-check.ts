import { access, constants, statfs } from 'node:fs/promises';

/** With less than this, SQLite is about to fail to write; a checkpoint of its log needs some at once. */
const MIN_FREE_BYTES = 64 * 1024 * 1024;

/** Says by throwing that the database's folder cannot be written to, or hardly: read-only, gone, or full. */
export async function checkDisk(folder: string): Promise<void> {
  await access(folder, constants.W_OK);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free < MIN_FREE_BYTES) throw new Error(`Only ${free} bytes are free in ${folder}, fewer than ${MIN_FREE_BYTES}`);
}
