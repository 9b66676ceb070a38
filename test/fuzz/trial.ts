import { randomInt } from 'node:crypto';
import { compareLeft, type FuzzedServer } from './fuzzed-server.js';
import type { Tally } from './tally.js';

/** The seed of this run, from `FUZZ_SEED` or by chance. */
export const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));

/** How much of a trial comes before the memory that the rest is measured against. */
const WARM_UP_SHARE = 0.2;
/** Room for what a longer run fills, its garbage collected: of each message of a long run, some 10 bytes kept are more. */
const MAX_GROWTH_BYTES = 8 * 1024 * 1024;

interface TrialOptions {
  server: FuzzedServer;
  tally: Tally;
  /** How much is sent, in all. */
  count: number;
  /** What is counted, for the summary. */
  what: string;
  /** How many clients there are at a time. */
  clients: number;
  /** Runs one connection to its end. @param part - how many were run before it. */
  connect: (part: number) => Promise<void>;
}

/**
 * Runs clients until so much was sent, or something was wrong; prints the figures and the seed that repeats them.
 *
 * @returns what the server still holds of it that it should not, and the figures.
 */
export async function runTrial(options: TrialOptions): Promise<{ grown: string[]; figures: string }> {
  const { server, tally, count, what, clients, connect } = options;
  let opened = 0;
  const runUntil = async (sent: number): Promise<void> => {
    const client = async (): Promise<void> => {
      while (tally.sent < sent && tally.failures.length === 0) await connect(opened++);
    };
    await Promise.all(Array.from({ length: clients }, client));
  };
  const start = Date.now();
  await runUntil(count * WARM_UP_SHARE);
  const before = await server.left();
  await runUntil(count);
  const left = compareLeft(before, await server.left(), { bytes: MAX_GROWTH_BYTES, sockets: 2 });
  const seconds = Math.round((Date.now() - start) / 1000);
  const run = `${tally.sent} ${what} on ${opened} connections in ${seconds} s`;
  process.stdout.write(`FUZZ_SEED=${SEED}: ${run}; ${left.figures}; ${tally.summary()}\n`);
  return left;
}
