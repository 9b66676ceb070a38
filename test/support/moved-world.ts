import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { mailedToken, turnOnMfa } from './accounts.js';
import type { TestUser } from './api.js';
import { fillJobs } from './moved-jobs.js';
import type { Receiver } from './receiver.js';
import { ADMIN, type TestServer } from './server.js';

/** How many rows of the journal are written in each unit, and in how many of them. */
const [UNIT, UNITS] = [500, Number(process.env['COPY_UNITS'] ?? 6)];

/** What somebody remembers of a service whose database moves. */
export interface MovedWorld {
  /** Still logged in. */
  user: TestUser;
  /** The last event that a client of the user's has seen, and those that it missed since. */
  seen: string;
  missed: string[];
  withMfa: TestUser;
  recoveryCodes: string[];
  locked: TestUser;
  apiKey: string;
  resetToken: string;
  note: { id: string; text: string };
}

/** Uses a server until every table has rows: accounts in every state, webhooks that fail and work, jobs in every state. */
export async function fill(server: TestServer, works: Receiver, fails: Receiver): Promise<MovedWorld> {
  const { api, app } = server;
  const admin = (await api.login(ADMIN)).accessToken;
  for (const { url } of [works, fails]) {
    const { status } = await api.post('/webhooks', { url, events: ['user.registered'] }, admin);
    if (status !== 201) throw new Error(`the webhook was answered ${status}`);
  }
  const user = await api.register();
  const [withMfa, locked, changed] = [await api.register(), await api.register(), await api.register()];
  const { recoveryCodes } = await turnOnMfa(server, withMfa);
  // Enough for a lock, and for an alert of the extension.
  for (let n = 0; n < 12; n += 1) await api.post('/auth/login', { email: locked.email, password: 'Wrong-horse-1' });
  const passwords = { currentPassword: changed.password, password: 'Another-horse-2' };
  const { status } = await api.patch('/users/me', passwords, changed.accessToken);
  if (status !== 200) throw new Error(`the password was not changed: ${status}`);
  const key = await api.post(
    '/api-keys',
    { name: 'A "program", \\ and {more}', scopes: ['events:read'] },
    user.accessToken,
  );
  await api.post('/auth/forgot-password', { email: user.email });
  const resetToken = await mailedToken(server, 'reset-password', user.email);
  await api.post('/events/stream-tickets', undefined, user.accessToken);
  const note = await api.post('/notes', { text: 'Zwölf "Boxkämpfer" \\ {jagen,NULL}\n😀' }, user.accessToken);
  const bus = app.get(EventBus);
  for (let unit = 0; unit < UNITS; unit += 1) {
    await app.get(UnitOfWork).run(async () => {
      for (let n = 0; n < UNIT; n += 1) await bus.publish('user.updated', { userId: withMfa.id, fields: ['email'] });
    });
  }
  await app.get(DurableReaders).caughtUp();
  await Promise.all([works.next(), fails.next()]);
  await fillJobs(server);
  const seen = (await bus.publish('user.updated', { userId: user.id, fields: ['email'] })).id;
  const missed: string[] = [];
  for (let n = 0; n < 3; n += 1)
    missed.push((await bus.publish('user.updated', { userId: user.id, fields: ['role'] })).id);
  const { data } = note.body as { data: { id: string; text: string } };
  return {
    user,
    seen,
    missed,
    withMfa,
    recoveryCodes,
    locked,
    apiKey: key.body.data.rawKey as string,
    resetToken,
    note: data,
  };
}
