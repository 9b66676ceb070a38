import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp, startApp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/config.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EventBus } from '../../src/events/event-bus.js';

/** The server under test: publishes as many events as its parent says, and reports the CPU time it has used. */
const folder = mkdtempSync(join(tmpdir(), 'herald-bench-'));
const config = loadConfig({
  NODE_ENV: 'test',
  LOG_LEVEL: 'fatal',
  HOST: '127.0.0.1',
  PORT: '0',
  DATABASE_URL: `sqlite:${join(folder, 'herald.sqlite')}`,
  ADMIN_EMAIL: 'admin@example.com',
  ADMIN_PASSWORD: 'Admin-password-1',
  WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
  WEBHOOK_RETRY_SCHEDULE: '0s,1s,5s,5s',
});
const app = await createApp(config);
const url = await startApp(app, config);
const bus = app.get(EventBus);
const units = app.get(UnitOfWork);
process.on('message', (message: { publish?: number; cpu?: true; stop?: true }) => {
  if (message.publish !== undefined) {
    const count = message.publish;
    void units.run(async () => {
      for (let n = 0; n < count; n += 1) await bus.publish('login.failed', { email: 'bench@example.com' });
    });
  }
  if (message.cpu) process.send?.({ cpu: process.cpuUsage() });
  if (message.stop) {
    void app.close().finally(() => {
      rmSync(folder, { recursive: true });
      process.exit(0);
    });
  }
});
process.send?.({ url });
