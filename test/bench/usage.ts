import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** What a server has used so far. */
export interface Usage {
  /** User and system time until it was asked, in µs. */
  cpu: number;
  /** The same until it answered: the collection in between is no part of what is measured. */
  cpuThen: number;
  /** Resident memory after a full collection, in bytes. */
  rss: number;
}

/** Answers a parent process that asks for it, and ends with it. */
export function answerUsage(): void {
  process.once('disconnect', () => process.exit());
  process.on('message', (message: { usage?: true }) => {
    if (!message.usage) return;
    const cpu = cpuTime();
    globalThis.gc?.();
    process.send?.({ cpu, cpuThen: cpuTime(), rss: process.memoryUsage.rss() });
  });
}

function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Asks a server. */
export async function usageOf(child: ChildProcess): Promise<Usage> {
  child.send({ usage: true });
  const [usage] = (await once(child, 'message')) as [Usage];
  return usage;
}
