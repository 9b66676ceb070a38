import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DataSource } from 'typeorm';
import type { UnitOfWork } from '../../src/database/unit-of-work.js';
import { gate, Note, NotesDatabase } from '../support/notes-database.js';

describe('the one connection to SQLite that writes', () => {
  let notes: NotesDatabase;
  let writer: DataSource;
  let unitOfWork: UnitOfWork;
  beforeEach(async () => {
    notes = await NotesDatabase.create();
    ({ writer, unitOfWork } = notes);
  });
  afterEach(() => notes.close());
  const texts = () => notes.texts();
  const add = (text: string) => notes.add(text);

  // What the gate is for. It states the fault of the plain driver, so that the day TypeORM mends it is noticed.
  it('(the plain driver loses an acknowledged write in a foreign rollback)', async () => {
    const held = gate();
    const foreign = writer.transaction(async (tx) => {
      await tx.insert(Note, { text: 'foreign' });
      await held.opened;
      throw new Error('foreign failure');
    });
    await writer.getRepository(Note).save({ text: 'acknowledged' });
    held.open();
    await expect(foreign).rejects.toThrow('foreign failure');
    expect(await texts()).toEqual([]);
  });

  it('runs concurrent units in the order they asked, and none fails another', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        unitOfWork.run(async (tx) => {
          await tx.insert(Note, { text: `a${n}` });
          await Promise.resolve();
          await tx.getRepository(Note).save({ text: `b${n}` });
          if (n % 5 === 4) throw new Error(`unit ${n}`);
        }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(4);
    const kept = Array.from({ length: 20 }, (_, n) => n).filter((n) => n % 5 !== 4);
    expect(await texts()).toEqual(kept.flatMap((n) => [`a${n}`, `b${n}`]));
  });

  /** The statements that end a transaction. */
  async function commitsOf(work: () => Promise<unknown>): Promise<string[]> {
    const statements: string[] = [];
    const runner = writer.createQueryRunner();
    const query = runner.query.bind(runner);
    const spy = vi.spyOn(runner, 'query').mockImplementation((...args) => {
      if (/^(COMMIT|ROLLBACK$)/.test(args[0])) statements.push(args[0]);
      return query(...args);
    });
    await work();
    spy.mockRestore();
    return statements;
  }

  it('units that wait go to the disk together, and are settled only then, in their order', async () => {
    // A group waits for nobody longer than its time; on a busy machine that would be over here.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    const settled: number[] = [];
    let committed = false;
    const commits = await commitsOf(() =>
      Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          await unitOfWork.run(async (tx) => {
            unitOfWork.afterCommit(() => (committed = true));
            await tx.insert(Note, { text: `${n}` });
            expect(committed).toBe(false);
          });
          settled.push(n);
        }),
      ),
    );
    clock.mockRestore();
    expect(commits).toEqual(['COMMIT']);
    expect(settled).toEqual(Array.from({ length: 40 }, (_, n) => n));
    expect(await texts()).toHaveLength(40);
  });

  it('each sees what those before it have written, and runs in the context of who asked', async () => {
    const asker = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const unit = (name: string) =>
      asker.run(name, () =>
        unitOfWork.run(async (tx) => {
          seen.push([name, asker.getStore(), await texts()]);
          unitOfWork.afterCommit(() => seen.push(`committed ${asker.getStore()}`));
          await tx.insert(Note, { text: name });
        }),
      );
    await Promise.all([unit('one'), unit('two')]);
    expect(seen).toEqual([['one', 'one', []], ['two', 'two', ['one']], 'committed one', 'committed two']);
  });

  it('a commit that the database refuses is a refusal to all who shared it, and to nobody else', async () => {
    await writer.query('CREATE TABLE child (note integer REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED)');
    const outcomes = await Promise.allSettled([
      add('innocent'),
      unitOfWork.run((tx) => tx.query('INSERT INTO child (note) VALUES (42)')),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await add('next');
    expect(await texts()).toEqual(['next']);
  });
});
