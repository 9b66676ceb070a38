import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EntityManager } from 'typeorm';
import { gate, Note, NotesDatabase } from '../support/notes-database.js';

describe('units of work side by side', () => {
  let one: NotesDatabase;
  let other: NotesDatabase;
  beforeEach(async () => {
    one = await NotesDatabase.create();
    other = await one.openAnother();
  });
  afterEach(async () => {
    await other.close();
    await one.close();
  });

  it('do not wait for each other, in one process or in two', async () => {
    const held = gate();
    const written = gate();
    const slow = one.unitOfWork.run(async (tx) => {
      await tx.insert(Note, { text: 'slow' });
      written.open();
      await held.opened;
    });
    await written.opened;
    await one.add('same process');
    await other.add('another process');
    expect(await one.texts()).toEqual(['same process', 'another process']);
    held.open();
    await slow;
    expect(await other.texts()).toEqual(['slow', 'same process', 'another process']);
  });

  it('fail as a whole where a statement failed, also when its error was caught', async () => {
    const told: string[] = [];
    const unit = one.unitOfWork.run(async (tx) => {
      one.unitOfWork.afterCommit(() => told.push('committed'));
      await tx.insert(Note, { text: 'before' });
      await tx.query('SELECT * FROM nowhere').catch(() => undefined);
      return 'went on';
    });
    await expect(unit).rejects.toThrow('nothing of it was committed');
    expect(told).toEqual([]);
    await one.add('next');
    expect(await one.texts()).toEqual(['next']);
  });

  it('run again after a deadlock, from the start, and then both have happened', async () => {
    await one.add('a');
    await one.add('b');
    const bothHaveOne = gate();
    let runs = 0;
    const append = async (tx: EntityManager, id: number) =>
      tx.query('UPDATE note SET text = text || $1 WHERE id = $2', ['!', id]);
    const opposite = ({ unitOfWork }: NotesDatabase, first: number, second: number) =>
      unitOfWork.run(async (tx) => {
        await tx.query(`SET LOCAL deadlock_timeout = '20ms'`);
        await append(tx, first);
        if ((runs += 1) === 2) bothHaveOne.open();
        await bothHaveOne.opened;
        await append(tx, second);
      });
    await Promise.all([opposite(one, 1, 2), opposite(other, 2, 1)]);
    expect(runs).toBe(3);
    expect(await one.texts()).toEqual(['a!!', 'b!!']);
  });

  /** Adds one to a number, by reading it and then writing it, fifty times in two processes. */
  async function count(prepare: (notes: NotesDatabase) => Promise<void>): Promise<string | undefined> {
    await one.add('0');
    const increments = Array.from({ length: 50 }, (_, n) => {
      const notes = n % 2 === 0 ? one : other;
      return notes.unitOfWork.run(async (tx) => {
        await prepare(notes);
        const { text } = await tx.findOneByOrFail(Note, { id: 1 });
        await tx.update(Note, { id: 1 }, { text: String(Number(text) + 1) });
      });
    });
    await Promise.all(increments);
    return (await one.texts())[0];
  }

  it('follow each other in all processes where they lock a name in common', async () => {
    expect(await count(({ unitOfWork }) => unitOfWork.lock('counter', 'another name'))).toBe('50');
  });

  it('(count wrong where they lock nothing)', async () => {
    const met = gate();
    let arrived = 0;
    const meet = async () => {
      if ((arrived += 1) === 2) met.open();
      await met.opened;
    };
    expect(Number(await count(meet))).toBeLessThan(50);
  });

  it('have their locks until the commit, and lose them with it', async () => {
    const held = gate();
    const locked = gate();
    const first = one.unitOfWork.run(async (tx) => {
      await one.unitOfWork.lock('name');
      await tx.insert(Note, { text: 'first' });
      locked.open();
      await held.opened;
    });
    await locked.opened;
    const second = other.unitOfWork.run(async () => {
      await other.unitOfWork.lock('name');
      return other.texts();
    });
    // Who locks something else does not wait.
    await other.unitOfWork.run(() => other.unitOfWork.lock('another name'));
    held.open();
    expect(await second).toEqual(['first']);
    await first;
  });
});
