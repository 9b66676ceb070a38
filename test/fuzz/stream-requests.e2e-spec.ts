import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Dice } from './dice.js';
import { compareLeft, FuzzedServer } from './fuzzed-server.js';
import { HttpConnection } from './http-connection.js';
import type { World } from './messages.js';
import { Tally } from './tally.js';

const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 20_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));
const CLIENTS = 30;
/** Room for what a longer run fills, its garbage collected: 110 bytes kept of each request of the long run are more. */
const MAX_GROWTH_BYTES = 8 * 1024 * 1024;

/** The built server, with clients that ask for the stream in every way there is, and then some. */
describe(`${REQUESTS} odd requests (FUZZ_SEED=${SEED})`, () => {
  const tally = new Tally();
  let server: FuzzedServer;
  let world: World;
  let opened = 0;

  /** Runs clients until so many requests were sent, or something was wrong. */
  async function runUntil(sent: number): Promise<void> {
    const client = async (): Promise<void> => {
      while (tally.sent < sent && tally.failures.length === 0) {
        await HttpConnection.run({ server, dice: new Dice(SEED, opened++), world, tally });
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }

  beforeAll(async () => {
    server = await FuzzedServer.start();
    const credentials = await server.credentials();
    world = { credentials, cursors: [await server.makeEvents(credentials), await server.makeEvents(credentials)] };
  });
  afterAll(() => server?.stop());

  it(
    'are each answered by a stream or by an error of the contract; memory returns',
    async () => {
      const start = Date.now();
      await runUntil(REQUESTS * 0.2);
      const before = await server.left();
      await runUntil(REQUESTS);
      const after = await server.left();
      const { grown, figures } = compareLeft(before, after, { bytes: MAX_GROWTH_BYTES, sockets: 2 });
      const seconds = Math.round((Date.now() - start) / 1000);
      process.stdout.write(
        `FUZZ_SEED=${SEED}: ${tally.sent} requests on ${opened} connections in ${seconds} s; ${figures}; ${tally.summary()}\n`,
      );
      expect(tally.failures).toEqual([]);
      expect(grown, figures).toEqual([]);
    },
    60_000 + REQUESTS * 20,
  );
});

/** The same, where a client may send so many requests and have so many streams. */
describe(`requests beyond the limits (FUZZ_SEED=${SEED})`, () => {
  let server: FuzzedServer;
  beforeAll(async () => {
    server = await FuzzedServer.start({ RATE_LIMIT_MAX: '300', REALTIME_MAX_CONNECTIONS_PER_USER: '1' });
  });
  afterAll(() => server?.stop());

  it('are answered with 429 and a Retry-After', async () => {
    const tally = new Tally();
    const credentials = await server.credentials();
    const world = { credentials, cursors: [await server.makeEvents(credentials)] };
    for (let part = 0; part < 100 && tally.failures.length === 0; part += 1) {
      const run = (n: number) =>
        HttpConnection.run({ server, dice: new Dice(SEED, -4 * part - n - 2), world, tally, isLimited: true });
      await Promise.all([0, 1, 2, 3].map(run));
    }
    expect(tally.failures).toEqual([]);
    expect(tally.came('429')).toBeGreaterThan(20);
  });
});
