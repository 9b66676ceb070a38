import { Client } from 'pg';

const WRITERS = 16;
const LISTENERS = 3;
const PHASE_MS = 2500;

/** Commits per second by how the others are told. */
export interface NotifyCost {
  /** Nobody is told. */
  none: number;
  /** Once for all commits of a moment, over a connection of its own: Herald's way. */
  perFlush: number;
  /** With every commit. */
  perCommit: number;
}

/** Measures what `NOTIFY` costs writers of one row each, with some connections that listen. */
export async function notifyCost(url: string): Promise<NotifyCost> {
  const open = async (): Promise<Client> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    return client;
  };
  const clients = await Promise.all(Array.from({ length: WRITERS + LISTENERS + 1 }, open));
  const [signals, ...others] = clients as [Client, ...Client[]];
  const listeners = others.slice(0, LISTENERS);
  const writers = others.slice(LISTENERS);
  await signals.query('CREATE TABLE notify_cost (n int)');
  await Promise.all(listeners.map((listener) => listener.query('LISTEN notify_cost')));
  let isSending = false;
  let isDue = false;
  const signal = async (): Promise<void> => {
    isDue = true;
    if (isSending) return;
    isSending = true;
    while (isDue) {
      isDue = false;
      await signals.query('NOTIFY notify_cost');
    }
    isSending = false;
  };
  const phase = async (sql: string, told: () => Promise<void> | void): Promise<number> => {
    const until = performance.now() + PHASE_MS;
    let count = 0;
    await Promise.all(
      writers.map(async (writer) => {
        while (performance.now() < until) {
          await writer.query(sql);
          void told();
          count += 1;
        }
      }),
    );
    return count / (PHASE_MS / 1000);
  };
  const insert = 'INSERT INTO notify_cost VALUES (1)';
  const cost = { none: 0, perFlush: 0, perCommit: 0 };
  // The first round warms up.
  for (let round = 0; round < 3; round += 1) {
    const none = await phase(insert, () => undefined);
    const perFlush = await phase(insert, signal);
    const perCommit = await phase(`${insert}; NOTIFY notify_cost`, () => undefined);
    if (round === 0) continue;
    cost.none += none / 2;
    cost.perFlush += perFlush / 2;
    cost.perCommit += perCommit / 2;
  }
  await signals.query('DROP TABLE notify_cost');
  await Promise.all(clients.map((client) => client.end()));
  return cost;
}
