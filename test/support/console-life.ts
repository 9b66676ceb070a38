import { vi } from 'vitest';
import { EventBus } from '../../src/events/event-bus.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import type { TestUser } from './api.js';
import type { Receiver } from './receiver.js';
import { changeJob } from './jobs.js';
import { ADMIN, TestServer } from './server.js';

const MINUTE_MS = 60_000;
const NAMES = ['ada', 'grace', 'alan', 'katherine', 'edsger', 'barbara', 'donald', 'frances', 'tony', 'radia', 'ken'];

/** What a server has been through. */
export interface Life {
  server: TestServer;
  users: TestUser[];
  token: string;
  endpointId: string;
  failingId: string;
}

/**
 * Starts a server an hour ago and lets it live until now: accounts, events, webhooks, dead jobs, a ban, a lock, connections.
 *
 * The clock never goes back for it: ids rise with time.
 */
export async function liveAnHour(receiver: Receiver): Promise<Life> {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ['Date'], now: now - 61 * MINUTE_MS });
  const server = await TestServer.start({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', WEBHOOK_RETRY_SCHEDULE: '0s,30m' });
  const { app, api } = server;
  const users: TestUser[] = [];
  for (const name of NAMES) users.push(await api.register('Correct-horse-1', `${name}@example.com`));
  const { accessToken: first } = await api.login(ADMIN);
  const created = async (url: string, events: string[], description: string): Promise<string> =>
    (await api.post('/webhooks', { url, events, description }, first)).body.data.id as string;
  receiver.answer = ({ path }) => (path.includes('billing') ? 500 : 204);
  const endpointId = await created(receiver.url, ['login.*', 'account.*'], 'Security dashboard');
  const failingId = await created(receiver.url.replace('/hook', '/billing'), ['user.*'], 'Billing');
  for (let minute = 60; minute > 0; minute -= 1) {
    vi.setSystemTime(now - minute * MINUTE_MS + 7000);
    await app.get(UnitOfWork).run(async () => {
      const wave = 4 + Math.round(3 * Math.sin(minute / 7) + ((minute * 37) % 5));
      for (let n = 0; n < wave; n += 1) await publishOne(app.get(EventBus), users, minute * 13 + n * 7);
    });
    await app.get(DurableReaders).caughtUp();
    await app.get(JobWorker).idle();
  }
  vi.useRealTimers();
  const { accessToken: token } = await api.login(ADMIN);
  await api.post(`/admin/users/${users[4]?.id}/ban`, { reason: 'Sent spam to half of the team' }, token);
  for (let n = 0; n < 5; n += 1) await api.post('/auth/login', { email: 'tony@example.com', password: 'wrong' });
  for (const { email } of users.slice(0, 3)) await dieTrying(server, email);
  // Their first tokens have expired an hour ago.
  const tokens = await Promise.all(users.slice(0, 4).map((user) => api.login(user)));
  for (const { accessToken } of tokens.slice(1)) await server.subscriber(accessToken, ['login.*', 'password.*']);
  await server.stream({ token: tokens[0]?.accessToken ?? '' });
  for (const user of users.slice(0, 3)) await api.login(user);
  await app.get(DurableReaders).caughtUp();
  return { server, users, token, endpointId, failingId };
}

/** A job that has failed as often as it may. */
async function dieTrying({ app }: TestServer, email: string): Promise<void> {
  const id = await app.get(JobQueue).submit('auth.forgot-password', { email }, { delayMs: 3_600_000 });
  const now = Date.now();
  const history = [3, 2, 1].map((left) => {
    return { attempt: 4 - left, at: now - left * MINUTE_MS, error: 'SMTP 451 4.7.1: try again later' };
  });
  await changeJob(app, id, { state: 'dead', attempts: 3, history, startedAt: now - MINUTE_MS, finishedAt: now });
}

async function publishOne(bus: EventBus, users: TestUser[], seed: number): Promise<void> {
  const { id: userId, email } = users[seed % users.length] as TestUser;
  const kind = seed % 11;
  if (kind < 5) await bus.publish('login.success', { userId, email }, { factor: 'password' });
  else if (kind < 7) await bus.publish('login.failed', { email }, { reason: 'wrong password' });
  else if (kind === 7) await bus.publish('logout', { userId });
  else if (kind === 8) await bus.publish('user.updated', { userId, fields: ['email'] });
  else if (kind === 9) await bus.publish('password.changed', { userId });
  else await bus.publish('mfa.enabled', { userId });
}
