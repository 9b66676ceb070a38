import type { ClientBase } from 'pg';

/** What is used of a connection of the `pg` package, and is not among its types. */
interface Inside {
  /** The number of the server's process, as it was told when the connection came about. */
  processID: number;
  /** Whether nothing was asked that is not answered. */
  readyForQuery: boolean;
  connection: { stream: { bytesRead: number; destroy: (error?: Error) => void } };
}

/** Returns the same connection as it is inside. */
export function insideOf(client: ClientBase): Inside {
  return client as unknown as Inside;
}
