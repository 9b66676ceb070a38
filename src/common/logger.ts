import type { LoggerService } from '@nestjs/common';
import { pino, type Level, type Logger as Pino } from 'pino';
import pretty from 'pino-pretty';
import { currentRequestContext } from './request-context.js';

/** Where Nest reports its own wiring, and a start that failed, which `main.ts` explains: of use to a developer alone. */
const WIRING = new Set([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'WebSocketsController',
  'NestApplication',
  'ExceptionHandler',
]);

/** Carries Nest's log calls to pino, one JSON object a line, each with the id of the request it belongs to. */
export class PinoLogger implements LoggerService {
  private readonly pino: Pino;

  constructor(options: { level: string; format: 'pretty' | 'json' }) {
    // Synchronous on purpose: the last lines before a crash are the ones that matter.
    const destination =
      options.format === 'pretty'
        ? pretty({
            ignore: 'pid,hostname,context,method,path,status,durationMs,ip',
            messageFormat: '{context}: {msg}',
            singleLine: true,
            sync: true,
          })
        : pino.destination({ sync: true });
    this.pino = pino(
      {
        level: options.level,
        mixin: () => {
          const requestId = currentRequestContext()?.requestId;
          return requestId === undefined ? {} : { requestId };
        },
      },
      destination,
    );
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.write('info', message, rest);
  }
  error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }
  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }
  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }
  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('trace', message, rest);
  }
  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  /** Nest's convention: the last extra argument is the context's name; for an error, the one before it is the stack. */
  private write(level: Level, message: unknown, rest: unknown[]): void {
    const context = rest.pop();
    if (WIRING.has(String(context))) level = 'debug';
    const extra: Record<string, unknown> = { context };
    if (rest.length > 0) extra['detail'] = rest.length === 1 ? rest[0] : rest;
    if (message instanceof Error) this.pino[level]({ ...extra, err: message }, message.message);
    else if (typeof message === 'object' && message !== null) this.pino[level]({ ...extra, ...message });
    else this.pino[level](extra, String(message));
  }
}
