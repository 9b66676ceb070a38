import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataSource, type EntityManager } from 'typeorm';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { AuditTrail } from '../../src/events/audit-trail.service.js';
import { EventBus } from '../../src/events/event-bus.js';
import { EventRelay } from '../../src/events/event-relay.service.js';
import { gate } from '../support/notes-database.js';
import { Dice } from '../support/random.js';
import { TestServer } from '../support/server.js';

const SEED = Number(process.env['ORDER_SEED'] ?? randomInt(2 ** 31));
const dice = new Dice(SEED);

let servers: TestServer[];
beforeAll(async () => {
  const first = await TestServer.start();
  servers = [first, await first.startAnother(), await first.startAnother()];
});
afterAll(async () => {
  for (const server of servers.toReversed()) await server.close();
});

const source = () => servers[0]?.app.get(DataSource) as DataSource;
const sleep = (tx: EntityManager, ms: number) => tx.query('SELECT pg_sleep($1)', [ms / 1000]);

/** Goes through a table by `seq`, as every reader does, and never back. */
function follow(table: string, after: number): { seen: number[]; stop: () => Promise<void> } {
  const seen: number[] = [];
  let isOver = false;
  const readAll = async (): Promise<void> => {
    for (let last = false; !last;) {
      last = isOver;
      const sql = `SELECT seq FROM ${table} WHERE seq > $1 ORDER BY seq`;
      const rows = await source().query<{ seq: number }[]>(sql, [seen.at(-1) ?? after]);
      seen.push(...rows.map(({ seq }) => seq));
    }
  };
  const reading = readAll();
  return {
    seen,
    stop() {
      isOver = true;
      return reading;
    },
  };
}

/** Publishes a few events in a unit that takes its time between its rows and its commit; some roll back at the very end. */
async function publishSlowly({ app }: TestServer, name: string): Promise<string[]> {
  const [unitOfWork, bus, trail] = [app.get(UnitOfWork), app.get(EventBus), app.get(AuditTrail)];
  const [before, after, count, fails] = [dice.upTo(8), dice.upTo(6), dice.between(1, 3), dice.chance(1 / 6)];
  const ids: string[] = [];
  try {
    await unitOfWork.run(async (tx) => {
      await sleep(tx, before);
      for (let n = 0; n < count; n += 1) {
        ids.push((await bus.publish('login.failed', { email: `${name}-${n}@example.com` })).id);
      }
      if (count === 2) await trail.record('job.redriven', { subject: name });
      unitOfWork.beforeCommit(async (last) => {
        await sleep(last, after);
        if (fails) throw new Error('rolled back');
      });
    });
    return ids;
  } catch (error) {
    if (!fails) throw error;
    return [];
  }
}

describe(`the order of the journal (ORDER_SEED=${SEED})`, () => {
  it('is the order of the commits: who goes by seq passes over no event of a slow committer', async () => {
    const live = servers.map(({ app }) => {
      const seen: { seq: number; id: string }[] = [];
      app.get(EventBus).subscribeAll(({ seq, id }) => void seen.push({ seq, id }));
      return seen;
    });
    const [{ seq: before }] = await source().query<[{ seq: number }]>('SELECT MAX(seq) AS seq FROM events');
    const publishing = Promise.all(
      Array.from({ length: 240 }, (_, n) => publishSlowly(servers[n % 3] as TestServer, `n${n}`)),
    );
    const { seen, stop } = follow('events', before);
    const published = (await publishing).flat();
    await stop();

    const rows = await source().query<{ seq: number; id: string; published: boolean }[]>(
      'SELECT seq, id, published FROM events WHERE seq > $1 ORDER BY seq',
      [before],
    );
    // Without a gap, also where units have rolled back.
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, n) => before + 1 + n));
    expect(seen).toEqual(rows.map(({ seq }) => seq));
    const events = rows.flatMap(({ seq, id, published: isEvent }) => (isEvent ? [{ seq, id }] : []));
    expect(events.map(({ id }) => id).toSorted()).toEqual(published.toSorted());
    for (const { app } of servers) await app.get(EventRelay).caughtUp();
    for (const delivered of live) expect(delivered).toEqual(events);
  });

  it('(would not be, were seq drawn from a sequence: a slow committer comes late, and is passed over)', async () => {
    const [slow, quick] = servers.map(({ app }) => app.get(UnitOfWork)) as [UnitOfWork, UnitOfWork];
    await slow.run((tx) => tx.query('CREATE TABLE drawn (seq bigserial PRIMARY KEY)'));
    const draw = (tx: EntityManager) => tx.query('INSERT INTO drawn DEFAULT VALUES');
    const [drew, held] = [gate(), gate()];
    const late = slow.run(async (tx) => {
      await draw(tx);
      drew.open();
      await held.opened;
    });
    await drew.opened;
    const { seen, stop } = follow('drawn', 0);
    await quick.run(draw);
    await expect.poll(() => seen).toEqual([2]);
    held.open();
    await late;
    await stop();
    expect(seen).toEqual([2]);
    expect(await source().query('SELECT seq FROM drawn ORDER BY seq')).toEqual([{ seq: 1 }, { seq: 2 }]);
    await slow.run((tx) => tx.query('DROP TABLE drawn'));
  });

  it('is one chain, whichever instance adds to it', async () => {
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => {
        const { app } = servers[n % 2] as TestServer;
        return n % 4 < 2
          ? app.get(EventBus).publish('login.failed', { email: `chain-${n}@example.com` })
          : app.get(AuditTrail).record('job.redriven', { subject: `chain-${n}` });
      }),
    );
    const [{ count, top }] = await source().query<[{ count: number; top: number }]>(
      'SELECT COUNT(*) AS count, MAX(seq) AS top FROM events',
    );
    expect(count).toBe(top);
    for (const { app } of servers) {
      expect(await app.get(AuditTrail).verify()).toMatchObject({ count: top, broken: null });
    }
  });
});
