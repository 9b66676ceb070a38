/** SQLSTATEs of PostgreSQL: no connection, a transaction that was given up, no resources, a server that stops or starts. */
const AWAY = /^(08...|25P03|53...|57P0[1-3])$/;
const UNREACHABLE = /^(ECONN(REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
/** What pg and its pool say without a code. */
const LOST =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;

/** Whether a connection turned out to be broken, or was ended by the server: another one may well work. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // One that nobody has answered in ten seconds: another one would wait as long.
  if (error.message.endsWith('due to connection timeout')) return false;
  const { code } = error as { code?: unknown };
  return (
    code === 'ECONNRESET' || code === 'EPIPE' || code === '57P01' || error.message.startsWith('Connection terminated')
  );
}

/**
 * Whether something failed because the server of the database could not be asked, or not to the end: what was to be written
 * may be committed all the same, if only the answer was lost.
 */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && (AWAY.test(code) || UNREACHABLE.test(code))) return true;
  // The next statement of a unit whose connection broke has no connection any more.
  return LOST.test(error.message) || error.name === 'QueryRunnerAlreadyReleasedError';
}
