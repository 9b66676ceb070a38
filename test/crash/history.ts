import type { Api } from '../support/api.js';
import type { Act, Worker } from './worker.js';

/** An event as `GET /events` shows it. */
export interface Envelope {
  id: string;
  type: string;
  payload: { userId?: string; email?: string };
}

/** What the journal says of one worker. */
export interface History {
  /** The acts whose events are there, each at its place. */
  found: Set<Act>;
  /** Events of the worker's accounts that fit none of its acts there: repeated, out of order, or nobody's. */
  unexplained: Envelope[];
}

/**
 * Walks a worker's acts and the events of its accounts side by side.
 *
 * A registration without an answer has an id that only the journal knows; it is not looked for here.
 */
export function historyOf({ acts, ids, emails }: Worker, journal: readonly Envelope[]): History {
  const events = journal.filter(({ payload }) => ids.has(payload.userId ?? '') || emails.has(payload.email ?? ''));
  const found = new Set<Act>();
  const unexplained: Envelope[] = [];
  let next = 0;
  for (const event of events) {
    const at = acts.findIndex((act, index) => index >= next && tells(event, act));
    // An acknowledged act that is jumped over is missing here, whatever comes later.
    if (at < 0) unexplained.push(event);
    else {
      found.add(acts[at] as Act);
      next = at + 1;
    }
  }
  return { found, unexplained };
}

/** What the journal says of all workers together. */
export interface Comparison {
  acts: Act[];
  acknowledged: Act[];
  /** Acknowledged, and not in the journal where they should be. */
  missing: Act[];
  /** As of each {@link History}. */
  unexplained: Envelope[];
}

/** Compares what workers did, and what they were answered, with the journal. */
export function compare(workers: readonly Worker[], journal: readonly Envelope[]): Comparison {
  const acts = workers.flatMap((worker) => worker.acts);
  const acknowledged = acts.filter((act) => act.acknowledged);
  const histories = workers.map((worker) => historyOf(worker, journal));
  const found = new Set(histories.flatMap((history) => [...history.found]));
  const missing = acknowledged.filter((act) => !found.has(act));
  return { acts, acknowledged, missing, unexplained: histories.flatMap(({ unexplained }) => unexplained) };
}

function tells({ type, payload }: Envelope, act: Act): boolean {
  return type === act.type && JSON.stringify(payload) === JSON.stringify(act.payload);
}

/** Reads the whole journal, page by page. */
export async function readJournal(api: Api, token: string): Promise<Envelope[]> {
  const events: Envelope[] = [];
  for (let after = ''; ; after = `&after=${events.at(-1)?.id}`) {
    const { status, body } = await api.get(`/events?limit=200${after}`, token);
    if (status !== 200) throw new Error(`the journal answered ${status}: ${JSON.stringify(body)}`);
    events.push(...(body.data.items as Envelope[]));
    if (body.data.hasMore !== true) return events;
  }
}
