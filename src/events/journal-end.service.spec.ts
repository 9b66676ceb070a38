import { setImmediate } from 'node:timers/promises';
import type { Repository } from 'typeorm';
import { expect, it } from 'vitest';
import type { HotQueries } from '../database/hot-queries.service.js';
import type { Instances } from '../database/instances.js';
import type { UnitOfWork } from '../database/unit-of-work.js';
import type { EventRow } from './event.entity.js';
import { JournalEnd } from './journal-end.service.js';
import type { JournalWriter } from './journal-writer.service.js';

const rowOf = (seq: number) => ({ seq, id: `evt-${seq}`, payload: {} }) as EventRow;
const ROWS = Array.from({ length: 9 }, (_, at) => rowOf(at + 1));

it('has each event once and in order, whatever other instances signal while it starts', async () => {
  let signal: () => void = () => undefined;
  const rows = {
    manager: { connection: { options: { type: 'postgres' } } },
    find: async () => {
      signal();
      for (let turn = 0; turn < 5; turn += 1) await setImmediate();
      return ROWS.toReversed();
    },
  } as unknown as Repository<EventRow>;
  const hot = {
    prepare: () => (after: number) =>
      Promise.resolve(ROWS.filter(({ seq }) => seq > after).map((row) => Object.assign({}, row, { payload: '{}' }))),
  } as unknown as HotQueries;
  const instances = {
    onSignal: (_: string, listener: () => void) => (signal = listener),
    onAnnounced: () => undefined,
  } as unknown as Instances;
  const units = { detached: (work: () => unknown) => work() } as unknown as UnitOfWork;
  const end = new JournalEnd(rows, units, instances, { onCommitted: () => undefined } as unknown as JournalWriter, hot);
  await end.onModuleInit();
  signal();
  await end.catchUp();
  const events = end.recent.read({ afterSeq: 0, limit: 100 });
  expect(events?.map(({ seq }) => seq)).toEqual(ROWS.map(({ seq }) => seq));
});
