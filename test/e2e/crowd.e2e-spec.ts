import { randomInt, randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { definitionOf, EVENT_TYPES, type EventType } from '../../src/events/catalogue.js';
import type { EventEnvelope } from '../../src/events/domain-event.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventJournal, type JournalQuery } from '../../src/events/event-journal.service.js';
import { CrowdJournal } from '../support/crowd-journal.js';
import { CrowdMember, type Account, type Crowd } from '../support/crowd.js';
import { Dice } from '../support/random.js';
import { ADMIN, TestServer } from '../support/server.js';
import type { WsClient } from '../support/ws-client.js';

const SEED = Number(process.env['CROWD_SEED'] ?? randomInt(2 ** 31));
const CLIENTS = Number(process.env['CROWD_CLIENTS'] ?? 400);
const EVENTS = Number(process.env['CROWD_EVENTS'] ?? 5000);
const ACCOUNTS = 40;
const ADMINS = 4;
/** The share of the clients that are an admin's, and so see everything. */
const ADMIN_SHARE = 0.08;
/** The share of the events that are about nobody here. */
const STRANGER_SHARE = 0.25;
/** The share of those that are so long that they soon are more than the system takes for a client that does not read. */
const LONG_SHARE = 0.16;
const LONG = 'x'.repeat(12_000);
/** How many clients may be on their way at once. */
const COMING = 40;
/** Types that a mail follows, or a replay to every client of the account: they take longer than all the rest. */
const COSTLY = new Set<EventType>(['account.locked', 'password.changed', 'password.reset', 'user.updated']);

/** Makes the journal answer late, as one across a network would: events come in the middle of replays then. */
function slowDown(journal: EventJournal): void {
  const dice = new Dice(SEED - 1);
  const slowly = async <T>(ask: () => Promise<T>): Promise<T> => {
    await turn(dice.below(3));
    const answer = await ask();
    await turn(dice.below(3));
    return answer;
  };
  const [head, read] = [journal.head.bind(journal), journal.read.bind(journal)];
  Object.assign(journal, {
    head: () => slowly(head),
    read: (wanted: JournalQuery) => slowly(() => read(wanted)),
  });
}

/** Lets everything else go on for some turns of the event loop. */
async function turn(times: number): Promise<void> {
  for (let n = times; n > 0; n -= 1) await setImmediate();
}

/** Each receives, over however many connections, what it may see and asked for: once, in order, and nothing else. */
describe(`a crowd of ${CLIENTS} clients that come and go (CROWD_SEED=${SEED})`, () => {
  const dice = new Dice(SEED);
  const members: CrowdMember[] = [];
  const later: Promise<unknown>[] = [];
  let server: TestServer;
  let accounts: Account[];
  let crowd: Crowd;
  /** How long to wait for what is due, in ms; not at all once something was waited for in vain. */
  let patienceMs = 40_000;
  /** A client that tells when an event has arrived. */
  let witness: WsClient;

  beforeAll(async () => {
    server = await TestServer.start({
      REALTIME_MAX_CONNECTIONS: '0',
      REALTIME_MAX_CONNECTIONS_PER_USER: '0',
      REALTIME_MAX_CONNECTIONS_PER_ADDRESS: '0',
      REALTIME_MAX_UNAUTHENTICATED_PER_ADDRESS: '0',
      WS_MAX_MESSAGES_PER_MINUTE: '0',
      WS_AUTH_TIMEOUT_MS: '60000',
      WS_PING_INTERVAL_MS: '600000',
    });
    slowDown(server.app.get(EventJournal));
    const { url } = server;
    const tally = { resumes: 0, leftEarly: 0, swaps: 0, slow: 0 };
    crowd = { seed: SEED, url, events: EVENTS, published: 0, isOver: false, coming: 0, tally, complaints: [] };
    const admin = (await server.api.login(ADMIN)).accessToken;
    accounts = await Promise.all(Array.from({ length: ACCOUNTS }, (_, at) => makeAccount(at, admin)));
    witness = await server.subscriber(admin);
  });
  afterAll(async () => {
    for (const { line } of members) line?.leave('destroy');
    await server.close();
  });

  async function makeAccount(at: number, admin: string): Promise<Account> {
    if (at >= ADMINS) {
      const { id, email, accessToken: token } = await server.api.register();
      return { id, email, role: 'user', token };
    }
    const account = { email: `admin-${at}@example.com`, password: 'Deputy-horse-1', role: 'admin' } as const;
    const { body } = await server.api.post('/admin/users', account, admin);
    return { ...account, id: body.data.id as string, token: (await server.api.login(account)).accessToken };
  }

  async function publish(
    type: EventType,
    { id: userId, email }: Pick<Account, 'id' | 'email'>,
  ): Promise<EventEnvelope> {
    const all: Record<string, unknown> = { userId, email, fields: ['email'], keyId: randomUUID() };
    const payload = Object.fromEntries(
      Object.keys(definitionOf(type)?.payload.shape ?? {}).map((key) => [key, all[key]]),
    );
    return server.app.get(EventBus).publish(type, payload as never);
  }

  function publishAny(): Promise<EventEnvelope> {
    let type = dice.oneOf(EVENT_TYPES);
    if (COSTLY.has(type) && dice.chance(0.8)) type = 'login.success';
    if (!dice.chance(STRANGER_SHARE)) return publish(type, dice.oneOf(accounts));
    const isLong = dice.chance(LONG_SHARE);
    const email = `${isLong ? LONG : ''}stranger@example.com`;
    return publish(isLong ? 'login.failed' : type, { id: randomUUID(), email });
  }

  async function publishAlone(): Promise<EventEnvelope> {
    const event = await publishAny();
    crowd.published += 1;
    return event;
  }

  /** Publishes in one unit of work, which is rolled back at times. */
  async function publishTogether(): Promise<void> {
    const [count, fails] = [1 + dice.below(8), dice.chance(0.03)];
    const unit = server.app.get(UnitOfWork).run(async () => {
      for (let n = 0; n < count; n += 1) await publishAny();
      if (fails) throw new Error('rolled back');
    });
    if (fails) return expect(unit).rejects.toThrow('rolled back');
    await unit;
    crowd.published += count;
  }

  /** Publishes so slowly that no event waits for another. */
  async function publishSlowly(): Promise<void> {
    for (let n = 10 + dice.below(20); n > 0; n -= 1) {
      const { id } = await publishAlone();
      await witness.next(({ event }) => (event as EventEnvelope | undefined)?.id === id);
    }
  }

  /** Publishes one event or a burst, and does not always wait until it is there. */
  async function publishSome(): Promise<void> {
    if (dice.chance(0.01)) return publishSlowly();
    const count = dice.chance(0.5) ? 1 : dice.below(40);
    const burst = Array.from({ length: count }, () => (dice.chance(0.5) ? publishAlone() : publishTogether()));
    if (dice.chance(0.3)) later.push(...burst);
    else await Promise.all(burst);
  }

  async function letThemCome(): Promise<void> {
    const until = performance.now() + patienceMs;
    while (crowd.coming > COMING && performance.now() < until) await setImmediate();
  }

  async function gather(): Promise<void> {
    while (crowd.published < 100) await publishSome();
    const { rows } = await CrowdJournal.read(server);
    for (let n = 0; n < CLIENTS; n += 1) {
      const account = dice.oneOf(dice.chance(ADMIN_SHARE) ? accounts.slice(0, ADMINS) : accounts.slice(ADMINS));
      members.push(new CrowdMember(crowd, n, account, dice.oneOf(rows).id));
      members.at(-1)?.come();
      await letThemCome();
    }
  }

  /** Waits for what is due as long as there is hope, and returns the journal. */
  async function untilReceived(): Promise<CrowdJournal> {
    const wait = async (check: () => boolean): Promise<void> => {
      const timeout = patienceMs;
      patienceMs = 0;
      const isThere = () => expect(crowd.complaints.length > 0 || check()).toBe(true);
      // What is missing is told by the comparison.
      await vi.waitFor(isThere, { timeout, interval: 20 }).then(
        () => (patienceMs = timeout),
        () => undefined,
      );
    };
    await wait(() => crowd.coming === 0);
    const journal = await CrowdJournal.read(server);
    const counts = new Map(members.map((member) => [member, journal.dueTo(member).length]));
    await wait(() => members.every((member) => member.received.length >= (counts.get(member) ?? 0)));
    return journal;
  }

  it(`receives exactly what is due of ${EVENTS} events`, { timeout: 180_000 }, async () => {
    await gather();
    crowd.published = 0;
    while (crowd.published < EVENTS) {
      await publishSome();
      await turn(dice.below(4));
      for (const member of members) {
        member.act();
        await letThemCome();
      }
    }
    await Promise.all(later);
    crowd.isOver = true;
    for (const member of members) {
      member.come();
      await letThemCome();
    }
    await untilReceived();
    // One more of everything for everybody: what a client got beyond what was due came before these.
    for (const account of accounts) {
      await server.app.get(UnitOfWork).run(async () => {
        for (const type of EVENT_TYPES) await publish(type, account);
      });
    }
    const journal = await untilReceived();
    await Promise.all(members.map(async ({ line }) => line?.settle()));
    const differences = members.flatMap((member) => journal.difference(member) ?? []);
    const { complaints } = crowd;
    const counts = `${complaints.length} complaints, ${differences.length} of ${CLIENTS} clients differ`;
    expect([...complaints.slice(0, 3), ...differences.slice(0, 5)], counts).toEqual([]);
    // Otherwise it was no trial.
    expect(crowd.tally.resumes).toBeGreaterThan(CLIENTS);
    expect(Math.min(crowd.tally.leftEarly, crowd.tally.swaps)).toBeGreaterThan(0);
  });
});
