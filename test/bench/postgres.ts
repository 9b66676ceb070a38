import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { BuiltServer } from '../support/built-server.js';
import { TestDatabase } from '../support/database.js';
import { startPostgres } from '../support/postgres.js';
import { load, type Load } from './http-load.js';
import { notifyCost } from './notify-cost.js';
import { percentile, report, type Figure } from './report.js';
import { loginAsAdmin } from './server-process.js';

/** Connections that send one request after the other to each instance. */
const CONNECTIONS = 16;
const PHASE_MS = 5000;
const MOST = 3;
/** How long, and how often, one event after the other is published while nothing else happens. */
const QUIET_EVENTS = 200;

const postgres = await startPostgres(['shared_buffers=256MB']);
const database = await TestDatabase.createOn(postgres.url);
const environment = {
  NODE_ENV: 'production',
  LOG_LEVEL: 'info',
  RATE_LIMIT_MAX: '0',
  AUTH_RATE_LIMIT_MAX: '0',
  ADMIN_EMAIL: 'admin@example.com',
  ADMIN_PASSWORD: 'Admin-password-1',
  ...database.environment,
};
const instances: BuiltServer[] = [];
const ports: number[] = [];
let token = '';
/** Of an account for each connection: what is done to one account is done one after the other. */
const tokens: string[] = [];

const headOf = (of: string) => `Host: x\r\nAuthorization: Bearer ${of}\r\n`;
const body = JSON.stringify({ name: 'A program', scopes: ['events:read'] });
const posts = () =>
  tokens.map(
    (of) =>
      `POST /api/v1/api-keys HTTP/1.1\r\n${headOf(of)}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
const gets = () => tokens.map((of) => `GET /api/v1/users/me HTTP/1.1\r\n${headOf(of)}\r\n`);

async function prepare(): Promise<void> {
  token = await loginAsAdmin(ports[0] ?? 0);
  for (let n = 0; n < CONNECTIONS; n += 1) tokens.push(await register());
}

async function register(): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${ports[0]}/api/v1/auth/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email: `${randomUUID()}@example.com`, password: 'Correct-horse-1' }),
  });
  return ((await answer.json()) as { data: { accessToken: string } }).data.accessToken;
}

/** What all instances do together while each of them is kept busy. */
async function together(requests: readonly string[]): Promise<Load> {
  const runs = await Promise.all(ports.map((port) => load(port, requests, CONNECTIONS, PHASE_MS)));
  return {
    perSecond: runs.reduce((sum, run) => sum + run.perSecond, 0),
    latencies: runs.flatMap(({ latencies }) => latencies),
  };
}

/** Subscribes to everything on an instance, and says when each key's event has come. */
async function subscribe(port: number): Promise<{ at: Map<string, number>; close: () => void }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  const at = new Map<string, number>();
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(JSON.stringify({ type: 'auth', token }));
  socket.send(JSON.stringify({ type: 'subscribe', events: ['api_key.created'] }));
  await new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; event?: { payload: { keyId: string } } };
      if (message.type === 'subscribed') resolve();
      if (message.event) at.set(message.event.payload.keyId, performance.now());
    });
  });
  return { at, close: () => socket.terminate() };
}

/** From the request to the receipt on the instance that took it, and on another one, while nothing else happens. */
async function quiet(): Promise<{ own: number[]; other: number[]; answer: number[] }> {
  const [own, other] = [await subscribe(ports[0] ?? 0), await subscribe(ports[1] ?? 0)];
  const found = { own: [] as number[], other: [] as number[], answer: [] as number[] };
  for (let n = 0; n < QUIET_EVENTS; n += 1) {
    const askedAt = performance.now();
    const answer = await fetch(`http://127.0.0.1:${ports[0]}/api/v1/api-keys`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body,
    });
    const { data } = (await answer.json()) as { data: { key: { id: string } } };
    found.answer.push(performance.now() - askedAt);
    while (!own.at.has(data.key.id) || !other.at.has(data.key.id)) await pause(1);
    found.own.push((own.at.get(data.key.id) ?? 0) - askedAt);
    found.other.push((other.at.get(data.key.id) ?? 0) - askedAt);
  }
  own.close();
  other.close();
  return found;
}

const times = (latencies: readonly number[]) =>
  `${percentile(latencies, 50).toFixed(1)} / ${percentile(latencies, 99).toFixed(1)}`;

const figures: Record<string, Figure> = {};
const { none, perFlush, perCommit } = await notifyCost(postgres.url);
figures['commits of a row per second from 16 connections, nobody told'] = { value: Math.round(none) };
figures['the same, NOTIFY once per flush, 3 listen'] = {
  value: `${Math.round(perFlush)} (${(perFlush / none).toFixed(2)} ×)`,
};
figures['the same, NOTIFY with each commit, 3 listen'] = {
  value: `${Math.round(perCommit)} (${(perCommit / none).toFixed(2)} ×)`,
};
for (let count = 1; count <= MOST; count += 1) {
  // Only those that are measured: each of them follows what the others write.
  const instance = await BuiltServer.start(environment);
  instances.push(instance);
  ports.push(Number(new URL(instance.url).port));
  if (tokens.length === 0) await prepare();
  if (count === 2) {
    const found = await quiet();
    figures['quiet, request to answer, p50 / p99 (ms)'] = { value: times(found.answer) };
    figures['quiet, request to receipt on the same instance, p50 / p99 (ms)'] = { value: times(found.own) };
    figures['quiet, request to receipt on another instance, p50 / p99 (ms)'] = { value: times(found.other) };
  }
  for (const [name, requests] of [
    ['POST /api-keys', posts()],
    ['GET /users/me', gets()],
  ] as const) {
    // The first one warms up.
    await together(requests);
    const { perSecond, latencies } = await together(requests);
    figures[`${name} per second, ${count} instance${count === 1 ? '' : 's'}`] = { value: Math.round(perSecond) };
    figures[`${name}, ${count}, p50 / p99 (ms)`] = { value: times(latencies) };
  }
}
figures['conditions'] = {
  value: `${CONNECTIONS} connections per instance, each for an account of its own, ${PHASE_MS} ms a phase after one to warm up; PostgreSQL (fsync on), the instances and the client share the machine's cores`,
};
report('postgres', figures);
for (const instance of instances) await instance.stop('SIGTERM');
await database.remove();
await postgres.remove();
