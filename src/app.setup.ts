import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import { Logger, type INestApplication, type SecurityHeadersOptions, type Type } from '@nestjs/common';
import type { CorsOptions } from '@nestjs/common/interfaces/external/cors-options.interface.js';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { entities } from './app.entities.js';
import { AppModule } from './app.module.js';
import { AppError } from './common/app-error.js';
import { answerOnSocket, answerUnderWay, errorBody, HttpErrorFilter, pathOf } from './common/http-error.filter.js';
import { HeraldHttpAdapter } from './common/herald-http.adapter.js';
import type { Extension } from './extensions/extension.js';
import { EXTENSIONS } from './extensions/installed-extensions.service.js';
import { declareExtensions, loadExtensions } from './extensions/load-extensions.js';
import { explainFailure } from './extensions/start-failures.js';
import { PinoLogger } from './common/logger.js';
import type { AuthenticatedRequest } from './common/principal.js';
import { runInRequestContext } from './common/request-context.js';
import { CONSOLE, MAILBOX, PREFIX, UNLIMITED, UNPREFIXED } from './common/routes.js';
import { sharedRateLimits } from './common/shared-rate-limits.js';
import { parseStrictJson } from './common/strict-json.js';
import { validationPipe } from './common/validation.js';
import type { Config } from './config/config.js';
import { RateLimitCounts } from './database/rate-limit-counts.service.js';
import { EventRelay } from './events/event-relay.service.js';
import { DurableReaders } from './jobs/durable-readers.service.js';
import { JobWorker } from './jobs/job-worker.service.js';
import { Metrics } from './metrics/metrics.service.js';
import { HeraldWsAdapter } from './realtime/herald-ws.adapter.js';
import { traceRequests } from './telemetry/request-spans.js';

const httpLogger = new Logger('HTTP');
/** What an answer in JSON needs (OWASP REST Security Cheat Sheet); pages set what only pages need. */
const SECURITY_HEADERS: SecurityHeadersOptions = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  xFrameOptions: { action: 'deny' },
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
};
/** How long a client may take to send a request. */
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * Builds the application, ready to start; the tests build it the same way.
 *
 * @param extras - modules beside Herald's own.
 * @param logs - where log lines go instead of standard output.
 */
export async function createApp(
  config: Config,
  extras: Type[] = [],
  logs?: NodeJS.WritableStream,
): Promise<NestFastifyApplication> {
  const adapter = new HeraldHttpAdapter({
    genReqId: requestIdOf,
    trustProxy: config.TRUST_PROXY.length > 0 && config.TRUST_PROXY,
    bodyLimit: config.HTTP_MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // On shutdown a request that is under way is still answered; streams have been told to end by then.
    return503OnClosing: false,
    frameworkErrors: answerMalformedUrl,
    clientErrorHandler: answerMalformedHttp,
    // Node would refuse it with a bare 400; a hook does it in the contract's shape.
    http: { requireHostHeader: false },
  });
  const logger = new PinoLogger({ level: config.LOG_LEVEL, format: config.logFormat }, logs);
  // What is said before Nest has taken it over is a line like every other.
  Logger.overrideLogger(logger);
  const extensions = await loadExtensions(config.HERALD_EXTENSIONS);
  declareExtensions(extensions, entities);
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.forRoot(config, extensions, extras), adapter, {
    logger,
    abortOnError: false,
    bodyParser: false,
  }).catch((error: unknown) => {
    throw explainFailure(error, extensions);
  });
  const fastify = adapter.getInstance<FastifyInstance>();
  // Node would answer an expectation that it does not know with a bare 417; RFC 9110 §10.1.1 lets a server ignore it.
  fastify.server.on('checkExpectation', (request, response) => fastify.server.emit('request', request, response));
  traceRequests(
    fastify,
    UNPREFIXED.map((path) => `/${path}`),
  );
  addHooks(fastify, app.get(Metrics));
  await addRateLimits(app, config);
  acceptJsonOnly(app, config);
  app.useSecurityHeaders(SECURITY_HEADERS);
  if (config.allowedOrigins.length > 0) allowOrigins(app, config.allowedOrigins);
  app.setGlobalPrefix(PREFIX, { exclude: [...UNPREFIXED, ...MAILBOX, ...CONSOLE] });
  app.useGlobalPipes(validationPipe);
  app.useGlobalFilters(new HttpErrorFilter());
  app.useWebSocketAdapter(new HeraldWsAdapter(app, config));
  return app;
}

/** Starts the application and returns the URL it listens on. */
export async function startApp(app: NestFastifyApplication, config: Config): Promise<string> {
  await app.init().catch((error: unknown) => {
    throw explainFailure(error, app.get<Extension[]>(EXTENSIONS));
  });
  // Only now is every subscriber and handler in place, and nobody is connected yet.
  await app.get(EventRelay).start();
  await app.get(DurableReaders).start();
  await app.get(JobWorker).start();
  await app.listen(config.PORT, config.HOST);
  const url = (await app.getUrl()).replace('[::1]', 'localhost');
  new Logger('Herald').log(`listening on ${url}`);
  return url;
}

/** Takes a caller's request id if it is one that is safe to log, or makes one. */
function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
}

/** The caller's address; undefined once it has disconnected, which Fastify's type does not say. */
function addressOf(request: FastifyRequest): string | undefined {
  return request.ip;
}

/** Gives every request its id, its context, its log line and its measure, and every result the contract's envelope. */
function addHooks(fastify: FastifyInstance, metrics: Metrics): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    void reply.header('X-Request-Id', request.id).header('Cache-Control', 'no-store');
    const isWithoutHost = request.raw.httpVersion === '1.1' && request.headers.host === undefined;
    if (isWithoutHost) return done(new AppError('BAD_REQUEST', 'The request has no Host header'));
    // Nothing has it in its name, and PostgreSQL takes no text with it.
    done(request.url.includes('%00') ? new AppError('BAD_REQUEST', 'The URL holds the character U+0000') : undefined);
  });
  // After the body was read: reading it would lose an asynchronous context entered earlier.
  fastify.addHook('preHandler', (request, _reply, done) => {
    const userAgent = request.headers['user-agent']?.slice(0, 256) ?? null;
    const ip = addressOf(request) ?? null;
    runInRequestContext({ requestId: request.id, ip, userAgent, actorId: null, sessionId: null }, done);
  });
  // Errors are sent as text, and streams are written past the reply: only results come by here.
  fastify.addHook('preSerialization', (_request, _reply, payload, done) => done(null, { data: payload }));
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    // The port is closed: this connection has carried its last request.
    if (!fastify.server.listening) void reply.header('Connection', 'close');
    done(null, payload);
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const { method, ip, id: requestId, principal } = request as FastifyRequest & AuthenticatedRequest;
    const path = pathOf(request.url);
    const durationMs = Math.round(reply.elapsedTime);
    const msg = `${method} ${path} ${reply.statusCode} ${durationMs} ms`;
    metrics.observe({ method, route: request.routeOptions.url ?? 'none', status: reply.statusCode, durationMs });
    httpLogger.log({
      msg,
      requestId,
      method,
      path,
      status: reply.statusCode,
      durationMs,
      ip,
      actorId: principal?.userId,
    });
    done();
  });
}

/** Counts requests per address: all of them together, and those that guess passwords and tokens more strictly. */
async function addRateLimits(app: NestFastifyApplication, config: Config): Promise<void> {
  // By the route that matched: the URL may spell its path in more than one way.
  const strict = [`/${PREFIX}/auth/`, '/console/session'];
  const groupOf = ({ routeOptions: { url } }: FastifyRequest) =>
    strict.some((path) => url?.startsWith(path)) ? 'auth' : 'all';
  const maxOf = (request: FastifyRequest) =>
    groupOf(request) === 'auth' ? config.AUTH_RATE_LIMIT_MAX : config.RATE_LIMIT_MAX;
  const counts = app.get(RateLimitCounts);
  await app.register(rateLimit, {
    timeWindow: config.RATE_LIMIT_WINDOW_MS,
    max: maxOf,
    ...(config.DATABASE_URL.kind === 'postgres' && {
      store: sharedRateLimits((key, windowMs) => counts.count(key, windowMs)),
      // Without the database the request fails by itself, where it needs it.
      skipOnError: true,
    }),
    // A client that is gone already has no address.
    keyGenerator: (request) => `${groupOf(request)} ${networkOf(addressOf(request) ?? '')}`,
    allowList: (request) => maxOf(request) === 0 || UNLIMITED.includes(request.routeOptions.url?.slice(1) ?? ''),
    errorResponseBuilder: (_request, { ttl }) =>
      new AppError('RATE_LIMITED', 'Too many requests', undefined, Math.max(1, Math.ceil(ttl / 1000))),
  });
}

/** A household or a server has a whole /64 of IPv6 addresses. */
function networkOf(address: string): string {
  return address.includes(':') ? rateLimit.normalizeIP(address, 64) : address;
}

/** Lets pages of other origins call the API, but never read the mailbox of development. */
function allowOrigins(app: NestFastifyApplication, origins: readonly string[]): void {
  const options = {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    exposedHeaders: ['X-Request-Id', 'Retry-After'],
    maxAge: 3600,
    // An OPTIONS request that is no preflight is answered like any other, in the contract's shape.
    strictPreflight: false,
  };
  // The adapter takes a function too, which its own type leaves out.
  (app as INestApplication).enableCors(
    (request: FastifyRequest, callback: (error: Error | null, choice: CorsOptions) => void) => {
      callback(null, request.url.startsWith('/dev/') ? { ...options, origin: false } : options);
    },
  );
}

/** JSON is the only body there is; one that names a key twice is refused. */
function acceptJsonOnly(app: NestFastifyApplication, config: Config): void {
  app.getHttpAdapter().getInstance().removeContentTypeParser(['text/plain', 'application/json']);
  app.useBodyParser('application/json', { bodyLimit: config.HTTP_MAX_BODY_BYTES }, (_request, body, done) => {
    try {
      // Some clients send the header with every request; the route's schema says whether a body is needed.
      done(null, body.length === 0 ? undefined : parseStrictJson(body.toString('utf8')));
    } catch (error) {
      done(new AppError('BAD_REQUEST', (error as SyntaxError).message));
    }
  });
}

/** Answers what the router refuses before any hook or filter runs. */
function answerMalformedUrl(error: { statusCode?: number }, request: FastifyRequest, reply: FastifyReply): void {
  const message = error.statusCode === 414 ? 'A part of the URL is too long' : 'The URL is malformed';
  // No hook runs for it, the one that logs requests neither.
  httpLogger.warn({ msg: message, requestId: request.id, ip: request.ip });
  void reply.status(400).header('X-Request-Id', request.id).type('application/json; charset=utf-8');
  void reply.send(errorBody(new AppError('BAD_REQUEST', message), request.id));
}

/** Answers bytes that are not HTTP, or headers that are too large, which never become a request. */
function answerMalformedHttp(error: Error & { code?: string }, socket: Socket): void {
  // A stream, say, that has begun can only be cut off.
  const isTooLate = answerUnderWay(socket)?.headersSent === true;
  if (error.code === 'ECONNRESET' || !socket.writable || isTooLate) return void socket.destroy();
  const timedOut = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const message = timedOut ? 'The request took too long to arrive' : 'The request is not valid HTTP';
  httpLogger.warn({ msg: message, ip: socket.remoteAddress, reason: error.code });
  answerOnSocket(socket, new AppError('BAD_REQUEST', message));
}
