import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, HTTP_STATUS, type ErrorCode } from './app-error.js';
import { isDatabaseAway } from './database-away.js';

/**
 * Turns whatever a request ended in into the contract's `{"error":{code,message,details?},"requestId"}`.
 *
 * Only an {@link AppError} speaks for itself. Everything else, Nest's and Fastify's own errors included, is mapped to a
 * fixed sentence, because theirs repeat the URL (and with it a `?token=`) or the body.
 */
@Catch()
export class HttpErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger('HttpErrorFilter');

  catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const error = toAppError(exception, request);
    if (isDatabaseAway(exception)) {
      const because = (exception as Error).message;
      this.logger.warn({ msg: 'request failed: the database is away', requestId: request.id, because });
    } else if (error.httpStatus >= 500) {
      this.logger.error({ msg: 'request failed', requestId: request.id, err: exception });
    }
    // A stream that has begun cannot be answered any more; the connection's own end tells the client.
    if (reply.raw.headersSent) return void reply.raw.destroy();
    if (error.retryAfterSeconds !== undefined) void reply.header('Retry-After', String(error.retryAfterSeconds));
    void reply.status(error.httpStatus).header('Content-Type', 'application/json; charset=utf-8');
    void reply.send(errorBody(error, request.id));
  }
}

/** Builds the contract's error body as JSON text. */
export function errorBody(error: AppError, requestId: string): string {
  const { code, message, details } = error;
  return JSON.stringify({ error: { code, message, ...(details && { details }) }, requestId });
}

/** Answers on a socket that carries no request: what is not HTTP, or a handshake that is refused. Closes it. */
export function answerOnSocket(socket: Duplex, error: AppError): void {
  const body = errorBody(error, randomUUID());
  const head = [
    `HTTP/1.1 ${error.httpStatus} ${STATUS_CODES[error.httpStatus]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  // Destroyed once it is written: a peer that never hangs up would keep the socket, and a shutdown, waiting.
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** Returns the answer that is not complete yet on a socket: what else is written lands before it or in its middle. */
export function answerUnderWay(socket: Duplex): ServerResponse | undefined {
  // Node's own handler of malformed requests looks there too; there is no public way.
  const answer = (socket as { ['_httpMessage']?: ServerResponse | null })['_httpMessage'];
  return answer && !answer.writableEnded ? answer : undefined;
}

const UNAVAILABLE = 'The service is not available right now';

const MESSAGES: Partial<Record<ErrorCode, string>> = {
  UNAUTHORIZED: 'Authentication required',
  FORBIDDEN: 'Not allowed',
  PAYLOAD_TOO_LARGE: 'The request body is too large',
  RATE_LIMITED: 'Too many requests',
  SERVICE_UNAVAILABLE: UNAVAILABLE,
};

const FASTIFY_MESSAGES: Record<string, string> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'The Content-Type must be application/json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body is not as long as its Content-Length says',
};

function toAppError(exception: unknown, request: FastifyRequest): AppError {
  if (exception instanceof AppError) return exception;
  if (isDatabaseAway(exception)) return new AppError('SERVICE_UNAVAILABLE', UNAVAILABLE);
  const {
    cause,
    code: origin,
    statusCode,
  } = exception as { cause?: { code?: string }; code?: string; statusCode?: number };
  const status = exception instanceof HttpException ? exception.getStatus() : (statusCode ?? 500);
  if (status === 404) return new AppError('NOT_FOUND', `There is no ${request.method} ${pathOf(request.url)}`);
  const code = codeOf(status);
  // Nest wraps what Fastify throws.
  const message = FASTIFY_MESSAGES[cause?.code ?? origin ?? ''] ?? MESSAGES[code];
  return new AppError(
    code,
    message ?? (code === 'INTERNAL' ? 'Something went wrong on our side' : 'The request is malformed'),
  );
}

function codeOf(status: number): ErrorCode {
  const codes = Object.keys(HTTP_STATUS) as ErrorCode[];
  return codes.find((code) => HTTP_STATUS[code] === status) ?? (status < 500 ? 'BAD_REQUEST' : 'INTERNAL');
}

const MAX_PATH_LENGTH = 256;

/** Cuts the query off a URL: it may carry a token, which belongs in no log line, metric or error. Very long paths are cut too. */
export function pathOf(url: string): string {
  const end = url.search(/[?#;]/);
  return url.slice(0, Math.min(end < 0 ? MAX_PATH_LENGTH : end, MAX_PATH_LENGTH));
}
