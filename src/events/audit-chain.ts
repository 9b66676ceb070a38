import { setImmediate } from 'node:timers/promises';
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { SecretCipher } from '../database/secret-cipher.service.js';
import type { ActType } from './audited-acts.js';
import type { EventRow } from './event.entity.js';
import { rowId } from './event.schemas.js';

/** What the first row of all names as the hash before it. */
export const GENESIS = 'herald audit chain';

/** What a row's hash covers: everything, and the hash of the row before. */
type ChainedRow = Omit<EventRow, 'previousHash' | 'hash'>;

/** Returns the key of the chain, made from `DATA_KEY`. */
export function chainKeyFrom(cipher: SecretCipher): Buffer {
  return cipher.deriveKey('audit chain');
}

/**
 * Returns the hash that chains a row to the one before: HMAC-SHA256, in base64url.
 *
 * Keyed, so that whoever can write the database, but does not hold `DATA_KEY`, cannot make a chain that holds.
 */
export function chainHash(key: Buffer, previousHash: string, row: ChainedRow): string {
  const { seq, id, type, subject, timestamp, payload, published, outcome, details } = row;
  const { requestId, actorId, sessionId, ip, userAgent } = row;
  const about = [seq, id, type, subject, timestamp, payload, published, outcome, details];
  const covered = JSON.stringify([previousHash, ...about, requestId, actorId, sessionId, ip, userAgent]);
  return createHmac('sha256', key).update(covered).digest('base64url');
}

/** Whether a row may have been written under a key; those older than the chain may have been under any. */
export function isOfKey(key: Buffer, { hash, previousHash, ...row }: EventRow): boolean {
  return hash === null || previousHash === null || chainHash(key, previousHash, row) === hash;
}

/** What following the chain came to. */
export const chainReport = z
  .strictObject({
    count: z
      .int()
      .min(0)
      .meta({ description: 'How many rows hold.', examples: [128] }),
    head: z
      .strictObject({ id: rowId, hash: z.string() })
      .nullable()
      .meta({
        description:
          'The newest row that holds: kept elsewhere, it shows later whether the end of the chain was made anew.',
        examples: [
          { id: 'evt-01a20d15-9125-730d-a06d-4c865def98b5', hash: '6XwI0mZ3t8Qk1sYb7Vn4pRcD2hFgJ5LaE9uToKyNxWs' },
        ],
      }),
    broken: z
      .strictObject({
        seq: z.int(),
        id: z.string().nullable().meta({ description: 'Null for a row that is gone.' }),
        reason: z.string(),
      })
      .nullable()
      .meta({ description: 'The first row at which it does not hold.', examples: [null] }),
  })
  .meta({ id: 'ChainReport' });
/** What following the chain came to. */
export type ChainReport = z.infer<typeof chainReport>;

/**
 * Follows the chain from the oldest row to the newest, and finds where it breaks first.
 *
 * @param newestSeq - the highest `seq` there ever was.
 * @param readPage - returns the rows that follow a `seq`, in order; none at the end.
 */
export async function verifyChain(
  key: Buffer,
  newestSeq: number,
  readPage: (afterSeq: number) => Promise<EventRow[]>,
): Promise<ChainReport> {
  const report: ChainReport = { count: 0, head: null, broken: null };
  let first: EventRow | undefined;
  let last: EventRow | undefined;
  let trimmedTo: unknown;
  for (let page = await readPage(0); page.length > 0; page = await readPage(last?.seq ?? 0)) {
    for (const row of page) {
      const reason = reasonAgainst(key, row, last);
      if (reason !== undefined) return { ...report, broken: { seq: row.seq, id: row.id, reason } };
      first ??= row;
      last = row;
      report.count += 1;
      if (row.hash !== null) report.head = { id: row.id, hash: row.hash };
      if (row.type === TRIMMED) trimmedTo = row.details?.['lastHash'];
    }
    // The driver answers at once: without a pause nobody else would be served until the end.
    await setImmediate();
  }
  // What was before the first row is gone: by retention, which says so further down the chain, or by another hand.
  if (first && first.hash !== null && first.seq > 1 && first.previousHash !== (trimmedTo ?? GENESIS)) {
    const reason = 'rows before it are gone, and it was not retention that removed them';
    return { ...report, broken: { seq: first.seq, id: first.id, reason } };
  }
  const end = last?.seq ?? 0;
  if (end >= newestSeq) return report;
  return { ...report, broken: { seq: end + 1, id: null, reason: `the newest rows, through ${newestSeq}, are gone` } };
}

const TRIMMED: ActType = 'journal.trimmed';
const CHAINED: ActType = 'journal.chained';

function reasonAgainst(key: Buffer, row: EventRow, before: EventRow | undefined): string | undefined {
  const { seq, hash, previousHash, type, details } = row;
  // Older than the chain, unless something chained came before it.
  if (hash === null || previousHash === null) return before && before.hash !== null ? 'it has no hash' : undefined;
  const missing = 'it does not follow the row before it: rows are missing, added or out of order here';
  if (before && seq !== before.seq + 1) return missing;
  if (before && before.hash !== null && previousHash !== before.hash) return missing;
  if (chainHash(key, previousHash, row) !== hash) return 'it was changed';
  // Rows without a hash are older than the chain only where the chain says that it begins behind them.
  const begins = type === CHAINED && details?.['after'] === seq - 1;
  if (before?.hash === null && !begins) return 'the rows before it have lost their hashes';
  return previousHash === GENESIS && seq > 1 && !begins ? 'everything before it is gone' : undefined;
}
