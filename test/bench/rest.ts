import { once } from 'node:events';
import { load, type Load } from './http-load.js';
import { mean, percentile, report } from './report.js';
import { loginAsAdmin, startServer, stopServer } from './server-process.js';

const CONNECTIONS = 16;
const PHASE_MS = 4000;
const ROUNDS = 3;

const { port, barePort, child } = await startServer<{ port: number; barePort: number }>('rest-servers');
const accessToken = await loginAsAdmin(port);

const head = `Host: x\r\nAuthorization: Bearer ${accessToken}\r\n`;
const body = JSON.stringify({ name: 'A program', scopes: ['events:read'] });
const REQUESTS = {
  bare: `GET /me HTTP/1.1\r\n${head}\r\n`,
  me: `GET /api/v1/users/me HTTP/1.1\r\n${head}\r\n`,
  keys: `POST /api/v1/api-keys HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
};
const runs: Record<keyof typeof REQUESTS, Load[]> = { bare: [], me: [], keys: [] };
const inserts: number[] = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  for (const name of ['bare', 'me', 'keys'] as const) {
    const run = await load(name === 'bare' ? barePort : port, REQUESTS[name], CONNECTIONS, PHASE_MS);
    // The first round warms up.
    if (round > 0) runs[name].push(run);
  }
  child.send({ insertFor: PHASE_MS });
  const [{ perSecond }] = (await once(child, 'message')) as [{ perSecond: number }];
  if (round > 0) inserts.push(perSecond);
}
const rate = (name: keyof typeof runs) => mean(runs[name].map(({ perSecond }) => perSecond));
const times = (name: keyof typeof runs) => {
  const all = runs[name].flatMap(({ latencies }) => latencies);
  return `${percentile(all, 50).toFixed(1)} / ${percentile(all, 99).toFixed(1)}`;
};
report('rest', {
  'GET /users/me per second': { value: Math.round(rate('me')) },
  'bare Nest + Fastify route per second': { value: Math.round(rate('bare')) },
  'GET /users/me, ratio': { value: (rate('me') / rate('bare')).toFixed(2), target: '>= 0.35' },
  'POST /api-keys per second': { value: Math.round(rate('keys')) },
  'bare inserts per second, each its own commit': { value: Math.round(mean(inserts)) },
  'POST /api-keys, ratio': { value: (rate('keys') / mean(inserts)).toFixed(2), target: '>= 0.5' },
  'GET /users/me, p50 / p99 (ms)': { value: times('me') },
  'POST /api-keys, p50 / p99 (ms)': { value: times('keys') },
  conditions: {
    value: `${CONNECTIONS} connections, ${PHASE_MS} ms a phase, interleaved ${ROUNDS} times after one to warm up, server on core 0, client on core 1, request log on, synchronous=${process.env['SQLITE_SYNCHRONOUS'] ?? 'FULL'}`,
  },
});
await stopServer(child);
