import type { QueryRunner } from 'typeorm';

/** A statement with `?` for each of its parameters. */
export interface Statement {
  sql: string;
  parameters: readonly (string | number | boolean | null)[];
}

/** A unit of work that waits for its transaction. */
export interface PendingUnit {
  /**
   * Does the work in the transaction that is open on a connection, from the start. Throws when it must roll back.
   *
   * @returns what is to be run together with the commit.
   */
  execute: (connection: QueryRunner) => Promise<readonly Statement[]>;
  /** Told when what {@link execute} did last is committed. */
  committed: () => void;
  /** Told when nothing of it remains. */
  failed: (cause: unknown) => void;
}

/** Where units of work get their transactions. */
export interface Gate {
  /** Lets a unit have a transaction, as soon as there is one to have, and tells it how that ended. */
  admit: (unit: PendingUnit) => void;
  /** Resolves once no unit runs and none waits. */
  idle: () => Promise<void>;
}
