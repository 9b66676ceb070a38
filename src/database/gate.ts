import type { QueryRunner } from 'typeorm';

/** A unit of work that waits for its transaction. */
export interface PendingUnit {
  /** Does the work in the transaction that is open on a connection, from the start. Throws when it must roll back. */
  execute: (connection: QueryRunner) => Promise<void>;
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
