import { Logger } from '@nestjs/common';
import type { Pool, PoolClient } from 'pg';
import { insideOf } from './pg-inside.js';
import type { Ask } from './watched-connection.js';

/** How long an answer may take before the server is asked whether it still works on it. */
export const PATIENCE_MS = 3000;

/** Of these processes of the server, those that work on something. The state is null where it is not known. */
const WORKING = `
  SELECT pid FROM pg_stat_activity WHERE pid = ANY($1::int[]) AND (state IS NULL OR state NOT LIKE 'idle%')`;

type Inside = ReturnType<typeof insideOf>;

interface Borrowed {
  bytesRead: number;
  /** Since when nothing has come. */
  since: number;
  /** How often in a row the server was not working on it. */
  doubts: number;
}

/**
 * Ends connections of pools that wait for an answer which nobody will give: a network, or a server that was replaced, can
 * leave them half open, and TCP would notice it in a quarter of an hour.
 *
 * A slow statement, or one that waits for a lock, is left alone: the server says that it works on it.
 */
export class PoolWatch {
  private readonly logger = new Logger('Instances');
  private readonly borrowed = new Map<PoolClient, Borrowed>();
  private readonly idle = new Set<PoolClient>();

  constructor(pools: readonly Pool[]) {
    for (const pool of pools) {
      pool.on('acquire', (client) => {
        this.idle.delete(client);
        this.borrowed.set(client, { bytesRead: -1, since: 0, doubts: 0 });
      });
      pool.on('release', (_, client) => {
        this.borrowed.delete(client);
        this.idle.add(client);
      });
      pool.on('remove', (client) => {
        this.borrowed.delete(client);
        this.idle.delete(client);
      });
    }
  }

  /** Looks, and asks the server about those that are late; to be called each second. */
  async look(ask: Ask): Promise<void> {
    const late = this.findLate();
    if (late.length === 0) return;
    const rows = await ask<{ pid: number }>(WORKING, [late.map(([{ processID }]) => processID)]);
    const working = new Set(rows.map(({ pid }) => pid));
    const dead = late.filter(([{ processID }, state]) => {
      state.doubts = working.has(processID) ? 0 : state.doubts + 1;
      // An answer may be on its way: it has one more second.
      return state.doubts === 2;
    });
    this.giveUp(dead);
  }

  /** Looks while there is nobody to ask: the server has answered on no connection for some time. */
  lookAlone(): void {
    this.giveUp(this.findLate());
  }

  private findLate(): [Inside, Borrowed][] {
    const now = performance.now();
    const late: [Inside, Borrowed][] = [];
    for (const [client, state] of this.borrowed) {
      const inside = insideOf(client);
      const { bytesRead } = inside.connection.stream;
      if (inside.readyForQuery || bytesRead !== state.bytesRead)
        Object.assign(state, { bytesRead, since: now, doubts: 0 });
      else if (now - state.since >= PATIENCE_MS) late.push([inside, state]);
    }
    return late;
  }

  private giveUp(dead: [Inside, Borrowed][]): void {
    if (dead.length === 0) return;
    const pids = dead.map(([{ processID }]) => processID);
    this.logger.warn({ msg: 'connections to the database were half open: they are given up', pids });
    // Those that nobody uses are no better, and whoever asks again must not be given one of them.
    for (const { connection } of [...dead.map(([inside]) => inside), ...[...this.idle].map(insideOf)])
      connection.stream.destroy(new Error('Connection terminated: the server does not answer what it was asked'));
  }
}
