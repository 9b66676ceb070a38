import type { LoggerService } from '@nestjs/common';
import { pino, stdSerializers, type Level, type Logger as Pino } from 'pino';
import pretty from 'pino-pretty';
import { currentRequestContext } from './request-context.js';

/** How much of a failed statement is logged. */
const MAX_QUERY_LENGTH = 200;

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

/** A database error carries the statement and all that was bound to it: hashes, addresses, whole payloads. */
function withoutParameters(error: unknown): unknown {
  if (!(error instanceof Error) || !('parameters' in error)) return stdSerializers.err(error as Error);
  const { type, message, stack } = stdSerializers.err(error);
  const query =
    'query' in error && typeof error.query === 'string' ? error.query.slice(0, MAX_QUERY_LENGTH) : undefined;
  return { type, message, stack, query };
}

/** Carries Nest's log calls to pino, one JSON object a line, each with the id of the request it belongs to. */
export class PinoLogger implements LoggerService {
  private readonly pino: Pino;

  /** @param sink - where JSON lines go instead of standard output. */
  constructor(options: { level: string; format: 'pretty' | 'json' }, sink?: NodeJS.WritableStream) {
    // Synchronous on purpose: the last lines before a crash are the ones that matter.
    const destination =
      options.format === 'pretty'
        ? pretty({
            ignore: 'pid,hostname,context,method,path,status,durationMs,ip,actorId',
            messageFormat: '{context}: {msg}',
            singleLine: true,
            sync: true,
          })
        : (sink ?? pino.destination({ sync: true }));
    this.pino = pino(
      {
        level: options.level,
        serializers: { err: withoutParameters },
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
