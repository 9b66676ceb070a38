import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UnitOfWorkOverError, type UnitOfWork } from '../../src/database/unit-of-work.js';
import type { DataSource } from 'typeorm';
import { gate, Note, NotesDatabase } from '../support/notes-database.js';

describe('UnitOfWork', () => {
  let notes: NotesDatabase;
  let writer: DataSource;
  let reader: DataSource;
  let unitOfWork: UnitOfWork;
  beforeEach(async () => {
    notes = await NotesDatabase.create();
    ({ writer, reader, unitOfWork } = notes);
  });
  afterEach(() => notes.close());
  const texts = () => notes.texts();
  const add = (text: string) => notes.add(text);

  it('keeps an acknowledged write through a foreign rollback', async () => {
    const held = gate();
    const foreign = unitOfWork.run(async (tx) => {
      await tx.insert(Note, { text: 'foreign' });
      await held.opened;
      throw new Error('foreign failure');
    });
    const acknowledged = add('acknowledged');
    held.open();
    await expect(foreign).rejects.toThrow('foreign failure');
    await acknowledged;
    expect(await texts()).toEqual(['acknowledged']);
  });

  it('runs concurrent units, and none fails another', async () => {
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
    expect((await texts()).toSorted()).toEqual(kept.flatMap((n) => [`a${n}`, `b${n}`]).toSorted());
  });

  it('a unit that fails, wherever, takes nothing of the others with it', async () => {
    const fails = new Set([0, 3, 7, 8, 15]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 16 }, (_, n) =>
        unitOfWork.run(async (tx) => {
          await tx.insert(Note, { text: `a${n}` });
          await tx.transaction(async (inner) => inner.insert(Note, { text: `b${n}` }));
          if (!fails.has(n)) return;
          if (n % 2 === 0) throw new Error(`unit ${n}`);
          await tx.query('INSERT INTO nowhere VALUES (1)');
        }),
      ),
    );
    expect(outcomes.map(({ status }) => status === 'rejected')).toEqual(outcomes.map((_, n) => fails.has(n)));
    const kept = outcomes.flatMap((_, n) => (fails.has(n) ? [] : [`a${n}`, `b${n}`]));
    expect((await texts()).toSorted()).toEqual(kept.toSorted());
  });

  it('an after-commit listener that throws harms neither its unit nor the others', async () => {
    const logged = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const calls: string[] = [];
    const unit = (name: string) =>
      unitOfWork.run(async (tx) => {
        await tx.insert(Note, { text: name });
        unitOfWork.afterCommit(() => {
          throw new Error('listener');
        });
        unitOfWork.afterCommit(() => calls.push(name));
      });
    await Promise.all([unit('one'), unit('two')]);
    const lines = logged.mock.calls.map(([line]) => (line as { msg: string }).msg);
    logged.mockRestore();
    expect(lines.filter((msg) => msg === 'an after-commit listener failed')).toHaveLength(2);
    expect(calls.toSorted()).toEqual(['one', 'two']);
    expect((await texts()).toSorted()).toEqual(['one', 'two']);
  });

  it('joins nested units: all or nothing', async () => {
    await unitOfWork.run(async (tx) => {
      await tx.insert(Note, { text: 'outer' });
      await add('inner');
      await Promise.all([add('inner 2'), add('inner 3')]);
    });
    expect(await texts()).toEqual(['outer', 'inner', 'inner 2', 'inner 3']);

    const failing = unitOfWork.run(async (tx) => {
      await tx.insert(Note, { text: 'gone' });
      await add('gone too');
      throw new Error('outer failure');
    });
    await expect(failing).rejects.toThrow('outer failure');
    expect(await texts()).toHaveLength(4);
  });

  it('rolls back the whole unit after a nested failure, also when the outer work catches it', async () => {
    const unit = unitOfWork.run(async (tx) => {
      await tx.insert(Note, { text: 'outer' });
      await unitOfWork
        .run(async (nested) => {
          await nested.insert(Note, { text: 'half' });
          throw new Error('nested failure');
        })
        .catch(() => undefined);
      return 'went on';
    });
    await expect(unit).rejects.toThrow('nested failure');
    expect(await texts()).toEqual([]);
  });

  it('shows an uncommitted row to nobody else', async () => {
    const held = gate();
    const written = gate();
    const unit = unitOfWork.run(async (tx) => {
      await tx.insert(Note, { text: 'soon' });
      written.open();
      await held.opened;
    });
    await written.opened;
    expect(await texts()).toEqual([]);
    held.open();
    await unit;
    expect(await texts()).toEqual(['soon']);
  });

  it('lets a unit read what it has written, through whatever it reads', async () => {
    await unitOfWork.run(async (tx) => {
      await tx.insert(Note, { text: 'mine' });
      expect(await texts()).toEqual(['mine']);
      expect(await reader.getRepository(Note).count()).toBe(1);
      expect(await unitOfWork.detached(texts)).toEqual([]);
    });
    await expect(
      unitOfWork.run(async () => {
        await reader.getRepository(Note).save({ text: 'with the unit' });
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await texts()).toEqual(['mine']);
  });

  it('lets nobody write outside of a unit', async () => {
    await expect(reader.getRepository(Note).save({ text: 'stray' })).rejects.toThrow(/read-?only/);
  });

  it('refuses work that outlives its unit', async () => {
    const held = gate();
    let latecomer: Promise<unknown> | undefined;
    let leaked: Promise<unknown> | undefined;
    await unitOfWork.run(async (tx) => {
      latecomer = held.opened.then(() => add('late'));
      leaked = held.opened.then(() => tx.insert(Note, { text: 'leaked' }));
    });
    const outcomes = Promise.allSettled([latecomer, leaked]);
    held.open();
    const [late, leak] = await outcomes;
    expect(late).toMatchObject({ status: 'rejected', reason: expect.any(UnitOfWorkOverError) });
    expect(leak).toMatchObject({ status: 'rejected', reason: { name: 'QueryRunnerAlreadyReleasedError' } });
    expect(await texts()).toEqual([]);
    await add('next');
    expect(await texts()).toEqual(['next']);
  });

  it.each([0, 1, 2, 3, 5, 8, 13, 21])(
    'lets no straggler of %i microtasks write after a rollback, or block the next unit',
    async (microtasks) => {
      const stragglers: Promise<unknown>[] = [];
      const later = async (work: () => Promise<unknown>) => {
        for (let n = 0; n < microtasks; n += 1) await Promise.resolve();
        return work();
      };
      const unit = unitOfWork.run(async (tx) => {
        await tx.insert(Note, { text: 'rolled back' });
        stragglers.push(
          later(() => tx.getRepository(Note).save({ text: 'saved late' })),
          later(() => tx.query(`INSERT INTO note (text) VALUES ('queried late')`)),
        );
        stragglers.forEach((straggler) => straggler.catch(() => undefined));
        throw new Error('failed');
      });
      await expect(unit).rejects.toThrow('failed');
      await Promise.allSettled(stragglers);
      await add('next');
      expect(await texts()).toEqual(['next']);
    },
  );

  it('rolls back everything when one of several writes at once fails', async () => {
    const unit = unitOfWork.run((tx) =>
      Promise.all([tx.getRepository(Note).save({ text: 'sibling' }), tx.query('SELECT * FROM nowhere')]),
    );
    await expect(unit).rejects.toThrow(/no such table|does not exist/);
    await add('next');
    expect(await texts()).toEqual(['next']);
  });

  it('writes what was put off to the end last, and calls back after the commit alone', async () => {
    const calls: string[] = [];
    await unitOfWork.run(async (tx) => {
      unitOfWork.beforeCommit((last) => last.insert(Note, { text: 'last' }));
      unitOfWork.afterCommit(() => calls.push('committed'));
      await tx.insert(Note, { text: 'first' });
      expect(calls).toEqual([]);
    });
    expect(await texts()).toEqual(['first', 'last']);
    expect(calls).toEqual(['committed']);

    const failing = unitOfWork.run(() => {
      unitOfWork.afterCommit(() => calls.push('never'));
      return Promise.reject(new Error('no'));
    });
    await expect(failing).rejects.toThrow('no');
    expect(calls).toEqual(['committed']);
  });

  it('goes on after a unit whose commit the database refuses', async () => {
    await writer.query('CREATE TABLE child (note integer REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED)');
    const dangling = unitOfWork.run((tx) => tx.query('INSERT INTO child (note) VALUES (42)'));
    await expect(dangling).rejects.toThrow(/foreign key/i);
    await add('next');
    expect(await texts()).toEqual(['next']);
  });

  it('starts units from the after-commit callback as new ones', async () => {
    let follower: Promise<unknown> | undefined;
    await unitOfWork.run(() => {
      unitOfWork.afterCommit(() => (follower = add('follower')));
      return Promise.resolve();
    });
    await follower;
    expect(await texts()).toEqual(['follower']);
  });
});
