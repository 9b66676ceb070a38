import type { CopiedFile } from '../database/copy/copied-file.js';

/**
 * Copies the jobs, and returns how many there are.
 *
 * @throws Error while there are any: PostgreSQL has no place for them yet.
 */
export function copyJobs(file: CopiedFile, left: readonly string[]): number {
  const jobs = left.includes('jobs') ? 0 : file.count('jobs');
  if (jobs === 0) return 0;
  throw new Error(`${jobs} jobs cannot be kept on PostgreSQL yet: leave them behind with --leave jobs`);
}
