import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { createApp, startApp } from './app.setup.js';
import { AppError } from './common/app-error.js';
import { HERALD_VERSION } from './common/herald-version.js';
import { StartError } from './common/start-error.js';
import { loadProcessConfig } from './config/config.js';
import { startTracing } from './telemetry/start-tracing.js';

/** What a person can mend is told in its own sentence, anything else with its stack. */
function explain(error: unknown): string {
  if (error instanceof StartError) return error.message;
  if (error instanceof AppError)
    return [error.message, ...(error.details ?? []).map(({ message }) => message)].join('\n  ');
  return explainListen(error as NodeJS.ErrnoException & { port?: number }) ?? stackOf(error);
}

/** Why it could not listen; undefined for what is something else. */
function explainListen({ code, port, syscall }: NodeJS.ErrnoException & { port?: number }): string | undefined {
  if (syscall === 'getaddrinfo' || code === 'EADDRNOTAVAIL')
    return 'HOST is no address of this machine: set it to one that is, or to 0.0.0.0 for all of them.';
  if (syscall !== 'listen') return undefined;
  if (code === 'EADDRINUSE') return `Port ${port} is taken: stop what listens there, or set PORT to another one.`;
  if (code === 'EACCES') return `Port ${port} is not for this user to open: set PORT to one above 1023.`;
  return undefined;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

async function main(): Promise<void> {
  const config = loadProcessConfig();
  const stopTracing = await startTracing(config, HERALD_VERSION);
  const app = await createApp(config);
  const stop = (signal: string): void => {
    new Logger('Herald').log(`${signal}: shutting down`);
    setTimeout(() => process.exit(1), config.SHUTDOWN_DELAY_MS + config.SHUTDOWN_GRACE_MS).unref();
    void app
      .close()
      .then(stopTracing)
      .then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  await startApp(app, config);
}

function fail(error: unknown): never {
  process.stderr.write(`Herald could not go on: ${explain(error)}\n`);
  process.exit(1);
}

main().catch(fail);
