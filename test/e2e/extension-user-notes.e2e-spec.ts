import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Note } from '../../src/extensions/user-notes/note.entity.js';
import { Notes } from '../../src/extensions/user-notes/notes.service.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import type { TestUser } from '../support/api.js';
import { ADMIN, TestServer } from '../support/server.js';
import { UsersService } from '../../src/users/users.service.js';

describe('the extension user-notes', () => {
  let server: TestServer;
  let ada: TestUser;
  let bob: TestUser;
  beforeAll(async () => {
    server = await TestServer.start({ HERALD_EXTENSIONS: 'herald/user-notes' });
    [ada, bob] = [await server.api.register(), await server.api.register()];
  });
  afterAll(() => server.close());

  async function write(text: string, { accessToken }: TestUser): Promise<string> {
    const { status, body } = await server.api.post('/notes', { text }, accessToken);
    expect(status).toBe(201);
    return body.data.id as string;
  }

  const notesOf = (ownerId: string) => server.app.get(UnitOfWork).run((tx) => tx.countBy(Note, { ownerId }));

  it('keeps a note, shows it, changes it and deletes it', async () => {
    const id = await write('  Milk  ', ada);
    const { createdAt, ...note } = (await server.api.get(`/notes/${id}`, ada.accessToken)).body.data;
    expect(note).toEqual({ id, text: 'Milk', updatedAt: createdAt });
    const changed = await server.api.patch(`/notes/${id}`, { text: 'Bread' }, ada.accessToken);
    expect(changed.body.data).toMatchObject({ id, text: 'Bread', createdAt });
    expect(changed.body.data.updatedAt).toBeGreaterThanOrEqual(createdAt);
    expect((await server.api.delete(`/notes/${id}`, ada.accessToken)).status).toBe(204);
    expect((await server.api.get(`/notes/${id}`, ada.accessToken)).status).toBe(404);
  });

  it('lists in pages, the newest first, and only the caller’s own', async () => {
    const user = await server.api.register();
    const written: string[] = [];
    for (const text of ['1', '2', '3', '4', '5']) written.unshift(await write(text, user));
    await write('of somebody else', bob);
    const listed: string[] = [];
    let after = '';
    for (let pages = 1; pages <= 3; pages += 1) {
      const { body } = await server.api.get(`/notes?limit=2${after}`, user.accessToken);
      listed.push(...(body.data.items as { id: string }[]).map(({ id }) => id));
      expect(body.data.hasMore).toBe(pages < 3);
      after = `&after=${body.data.nextCursor}`;
    }
    expect(listed).toEqual(written);
    expect(after).toBe('&after=null');
  });

  it('answers for the note of somebody else as if there were none, to an admin too', async () => {
    const id = await write('secret', ada);
    const admin = (await server.api.login(ADMIN)).accessToken;
    for (const token of [bob.accessToken, admin]) {
      expect((await server.api.get(`/notes/${id}`, token)).status).toBe(404);
      expect((await server.api.patch(`/notes/${id}`, { text: 'mine' }, token)).status).toBe(404);
      expect((await server.api.delete(`/notes/${id}`, token)).status).toBe(404);
    }
    expect((await server.api.get(`/notes/${id}`, ada.accessToken)).body.data.text).toBe('secret');
  });

  it.each([
    ['no text', {}],
    ['an empty text', { text: '  ' }],
    ['a text that is too long', { text: 'x'.repeat(10_001) }],
    ['a field that is not known', { text: 'x', ownerId: 'somebody else' }],
  ])('refuses a note with %s', async (_what, body) => {
    const answer = await server.api.post('/notes', body, ada.accessToken);
    expect(answer.status).toBe(422);
    expect(answer.body.error.details[0].field).toMatch(/text|ownerId|body/);
  });

  it('refuses a cursor that it never gave', async () => {
    const { status, body } = await server.api.get('/notes?after=x', ada.accessToken);
    expect([status, body.error.details]).toEqual([
      422,
      [{ field: 'after', message: 'was never a cursor of this list' }],
    ]);
  });

  it('tells the owner live, and nobody else, and never the text', async () => {
    const [own, other] = [await server.subscriber(ada.accessToken), await server.subscriber(bob.accessToken)];
    const id = await write('for my eyes only', ada);
    await server.api.patch(`/notes/${id}`, { text: 'still' }, ada.accessToken);
    await server.api.delete(`/notes/${id}`, ada.accessToken);
    const { event } = await own.nextEvent('note.deleted');
    expect(event).toMatchObject({ payload: { noteId: id, userId: ada.id } });
    expect(own.events).toEqual(['note.created', 'note.updated', 'note.deleted']);
    expect(JSON.stringify(own.received)).not.toContain('eyes');
    // What happens to Bob afterwards comes after what he was not told.
    await server.api.post('/auth/login', { email: bob.email, password: 'wrong' });
    await other.nextEvent('login.failed');
    expect(other.events).toEqual(['login.failed']);
  });

  it('publishes nothing for a change that is refused', async () => {
    const admin = (await server.api.login(ADMIN)).accessToken;
    const count = async () => (await server.api.get('/audit?type=note.*&limit=200', admin)).body.data.items.length;
    const before: number = await count();
    const id = await write('x', ada);
    await server.api.delete(`/notes/${id}`, bob.accessToken);
    expect(await count()).toBe(before + 1);
  });

  it('deletes the notes of an account that is deleted, also when the process was down', async () => {
    const [eve, moe] = [await server.api.register(), await server.api.register()];
    await write('x', eve);
    const kept = await write('y', moe);
    await server.app.close();
    await server.restartAfter(async (app) => {
      await app.get(UsersService).delete(eve.id);
      expect(await app.get(UnitOfWork).run((tx) => tx.countBy(Note, { ownerId: eve.id }))).toBe(1);
    });
    await server.app.get(DurableReaders).caughtUp();
    await server.app.get(JobWorker).idle();
    expect(await notesOf(eve.id)).toBe(0);
    expect((await server.api.get(`/notes/${kept}`, moe.accessToken)).status).toBe(200);
  });

  it('takes no note for an account that is gone', async () => {
    const gone = await server.api.register();
    await server.api.delete('/users/me', gone.accessToken);
    await expect(server.app.get(Notes).create(gone.id, 'x')).rejects.toThrow('Authentication required');
    expect(await notesOf(gone.id)).toBe(0);
  });
});
