import { StartError } from '../common/start-error.js';

/** Thrown when the file of the database cannot be used; its message says why, and what to do. */
export class DatabaseFileError extends StartError {
  override readonly name = 'DatabaseFileError';

  constructor(file: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`${file} cannot be used: ${why}. Mend that, or name another file with DATABASE_URL=sqlite:<path>.`, {
      cause,
    });
  }
}
