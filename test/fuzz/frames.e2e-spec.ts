import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FuzzDice } from './dice.js';
import { FuzzConnection } from './fuzz-connection.js';
import { FuzzedServer } from './fuzzed-server.js';
import type { World } from './messages.js';
import { Tally } from './tally.js';
import { runTrial, SEED } from './trial.js';

const MESSAGES = Number(process.env['FUZZ_MESSAGES'] ?? 40_000);
const CLIENTS = 50;
/** One connection in so many comes after an event that its likes may see. */
const EVENT_EVERY = 50;
const TICKET_EVERY = 50;

/** The built server, with clients that send it everything that is and is not in the contract. */
describe(`${MESSAGES} messages and frames (FUZZ_SEED=${SEED})`, () => {
  const tally = new Tally();
  let server: FuzzedServer;
  let world: World;

  /** Some come after an event that their likes may see, and some with a ticket. */
  async function connect(part: number): Promise<void> {
    if (part % EVENT_EVERY === 0) world.cursors = [...world.cursors, await server.makeEvents(world.credentials)];
    const ticket = part % TICKET_EVERY === 1 ? await server.makeTicket(world.credentials) : undefined;
    await FuzzConnection.run({ server, dice: new FuzzDice(SEED, part), world, tally, ticket });
  }

  beforeAll(async () => {
    server = await FuzzedServer.start();
    const credentials = await server.credentials();
    world = { credentials, cursors: [await server.makeEvents(credentials)] };
  });
  afterAll(() => server?.stop());

  it(
    'are each answered as the contract says, or close the connection with a code that says why; memory returns',
    async () => {
      const options = { server, tally, count: MESSAGES, what: 'messages and frames', clients: CLIENTS, connect };
      const { grown, figures } = await runTrial(options);
      expect(tally.failures).toEqual([]);
      expect(grown, figures).toEqual([]);
    },
    60_000 + MESSAGES * 4,
  );
});

/** The same, where a client may send so many messages a minute. */
describe(`messages beyond the limit (FUZZ_SEED=${SEED})`, () => {
  let server: FuzzedServer;
  beforeAll(async () => {
    server = await FuzzedServer.start({ WS_MAX_MESSAGES_PER_MINUTE: '20' });
  });
  afterAll(() => server?.stop());

  it('close the connection with 1008, and what was answered until then is right', async () => {
    const tally = new Tally();
    const credentials = await server.credentials();
    const world = { credentials, cursors: [await server.makeEvents(credentials)] };
    for (let part = 0; part < 100 && tally.failures.length === 0; part += 1) {
      await FuzzConnection.run({ server, dice: new FuzzDice(SEED, -part - 2), world, tally, isLimited: true });
    }
    expect(tally.failures).toEqual([]);
    expect(tally.came('closed 1008')).toBeGreaterThan(10);
  });
});
