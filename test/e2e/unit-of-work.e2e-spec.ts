import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { DataSource, EntitySchema } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readerOptions, writerOptions } from '../../src/database/data-source-options.js';
import { UnitOfWork, UnitOfWorkOverError } from '../../src/database/unit-of-work.js';

interface Note {
  id: number;
  text: string;
}
const Note = new EntitySchema<Note>({
  name: 'note',
  columns: { id: { type: 'integer', primary: true, generated: true }, text: { type: 'text' } },
});

/** A promise and the function that settles it: what a test holds a unit open with. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describe('UnitOfWork', () => {
  let folder: string;
  let writer: DataSource;
  let reader: DataSource;
  let unitOfWork: UnitOfWork;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'herald-uow-'));
    const settings = {
      database: { kind: 'sqlite' as const, file: join(folder, 'db.sqlite') },
      synchronous: 'FULL' as const,
      entities: [Note],
    };
    writer = await new DataSource({ ...writerOptions(settings), migrations: [] }).initialize();
    await writer.query('CREATE TABLE note (id integer PRIMARY KEY AUTOINCREMENT, text text NOT NULL)');
    reader = await new DataSource(readerOptions(settings)).initialize();
    unitOfWork = new UnitOfWork(writer);
    unitOfWork.lendTo(reader);
  });

  afterEach(async () => {
    await reader.destroy();
    await writer.destroy();
    rmSync(folder, { recursive: true });
  });

  const texts = async () => (await reader.getRepository(Note).find({ order: { id: 'ASC' } })).map(({ text }) => text);
  const add = (text: string) => unitOfWork.run((tx) => tx.insert(Note, { text }));

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

  describe('sharing a commit', () => {
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
      expect(await texts()).toEqual(kept);
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
      expect(logged).toHaveBeenCalledTimes(2);
      logged.mockRestore();
      expect(calls).toEqual(['one', 'two']);
      expect(await texts()).toEqual(['one', 'two']);
    });
  });

  it('lets nobody write outside of a unit', async () => {
    await expect(reader.getRepository(Note).save({ text: 'stray' })).rejects.toThrow(/readonly/);
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
    await expect(unit).rejects.toThrow(/no such table/);
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
    await expect(dangling).rejects.toThrow(/FOREIGN KEY/);
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
