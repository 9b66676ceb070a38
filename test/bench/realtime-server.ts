import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Module, Sse, type MessageEvent } from '@nestjs/common';
import { map, Observable, Subject } from 'rxjs';
import { createApp, startApp } from '../../src/app.setup.js';
import { OneTimeTokens, type TokenHolder } from '../../src/auth/one-time-tokens.service.js';
import { Public } from '../../src/common/principal.js';
import { loadConfig } from '../../src/config/config.js';
import { SecretCipher } from '../../src/database/secret-cipher.service.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import type { DomainEvent } from '../../src/events/domain-event.js';
import { EventBus } from '../../src/events/event-bus.js';
import { RealtimeHub } from '../../src/realtime/realtime-hub.service.js';
import type { WsConnection } from '../../src/realtime/ws-connection.js';
import { answerUsage } from './usage.js';

/**
 * The server under test, and the same server the plain way: `ws.send(JSON.stringify(…))` to each WebSocket client, an
 * Observable for each client of `GET /api/v1/plain`.
 */
const events = new Subject<DomainEvent>();

@Public()
@Controller('plain')
class PlainController {
  @Sse()
  stream(): Observable<MessageEvent> {
    return events.pipe(map(({ id, type, timestamp, payload }) => ({ id, type, data: { type, timestamp, payload } })));
  }
}
@Module({ controllers: [PlainController] })
class PlainModule {}

const folder = mkdtempSync(join(tmpdir(), 'herald-bench-'));
const config = loadConfig({
  NODE_ENV: 'test',
  LOG_LEVEL: 'info',
  HOST: '127.0.0.1',
  PORT: '0',
  DATABASE_URL: `sqlite:${join(folder, 'herald.sqlite')}`,
  ADMIN_EMAIL: 'admin@example.com',
  ADMIN_PASSWORD: 'Admin-password-1',
  RATE_LIMIT_MAX: '1000000',
  AUTH_RATE_LIMIT_MAX: '0',
  // The raw clients answer none.
  WS_PING_INTERVAL_MS: '3600000',
  JWT_EXPIRES_IN: '1d',
  REALTIME_MAX_CONNECTIONS_PER_USER: '0',
  REALTIME_MAX_CONNECTIONS_PER_ADDRESS: '0',
  REALTIME_MAX_UNAUTHENTICATED_PER_ADDRESS: '0',
});
const app = await createApp(config, [PlainModule]);
const url = await startApp(app, config);
const hub = app.get<unknown>(RealtimeHub) as {
  deliver: (event: DomainEvent) => void;
  connections: Set<WsConnection>;
};
const engine = hub.deliver.bind(hub);
let mode: 'herald' | 'plain' = 'herald';
hub.deliver = (event) => {
  if (mode === 'herald') return engine(event);
  const { id, type, timestamp, payload } = event;
  for (const connection of hub.connections) {
    const { client } = connection as unknown as { client?: { send: (text: string) => void } };
    client?.send(JSON.stringify({ type: 'event', event: { id, type, timestamp, payload } }));
  }
};
app.get(EventBus).subscribeAll((event) => events.next(event));

/** Makes the token that a mail would carry. */
async function resetTokenOf(holder: TokenHolder): Promise<string> {
  const { sealedToken, owner } = await app.get(OneTimeTokens).issue('reset-password', holder);
  return app.get(SecretCipher).decrypt(sealedToken, owner);
}

/** Publishes steadily, past REST: 15 events of more than 1 KB in a unit of work, a hundred times a second. */
async function publishFor(ms: number): Promise<void> {
  const email = `${'x'.repeat(1000)}@example.com`;
  const until = performance.now() + ms;
  for (let next = performance.now(); next < until; next += 10) {
    await app.get(UnitOfWork).run(async () => {
      for (let n = 0; n < 15; n += 1) await app.get(EventBus).publish('login.failed', { email });
    });
    await sleep(Math.max(0, next + 10 - performance.now()));
  }
  process.send?.({ published: true });
}

answerUsage();
interface Message {
  mode?: typeof mode;
  resetPassword?: TokenHolder;
  publishFor?: number;
  stop?: true;
}
process.on('message', (message: Message) => {
  if (message.mode) mode = message.mode;
  if (message.publishFor !== undefined) void publishFor(message.publishFor);
  if (message.resetPassword) void resetTokenOf(message.resetPassword).then((token) => process.send?.({ token }));
  if (message.stop) {
    void app.close().finally(() => {
      rmSync(folder, { recursive: true });
      process.exit(0);
    });
  }
});
process.send?.({ port: Number(new URL(url).port) });
