import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FuzzDice } from './dice.js';
import { FuzzedServer } from './fuzzed-server.js';
import { HttpConnection } from './http-connection.js';
import type { World } from './messages.js';
import { Tally } from './tally.js';
import { runTrial, SEED } from './trial.js';

const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 10_000);
const CLIENTS = 30;

/** The built server, with clients that ask for the stream in every way there is, and then some. */
describe(`${REQUESTS} odd requests (FUZZ_SEED=${SEED})`, () => {
  const tally = new Tally();
  let server: FuzzedServer;
  let world: World;

  const connect = (part: number) => HttpConnection.run({ server, dice: new FuzzDice(SEED, part), world, tally });

  beforeAll(async () => {
    server = await FuzzedServer.start();
    const credentials = await server.credentials();
    world = { credentials, cursors: [await server.makeEvents(credentials), await server.makeEvents(credentials)] };
  });
  afterAll(() => server?.stop());

  it(
    'are each answered by a stream or by an error of the contract; memory returns',
    async () => {
      const options = { server, tally, count: REQUESTS, what: 'requests', clients: CLIENTS, connect };
      const { grown, figures } = await runTrial(options);
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
        HttpConnection.run({ server, dice: new FuzzDice(SEED, -4 * part - n - 2), world, tally, isLimited: true });
      await Promise.all([0, 1, 2, 3].map(run));
    }
    expect(tally.failures).toEqual([]);
    expect(tally.came('429')).toBeGreaterThan(20);
  });
});
