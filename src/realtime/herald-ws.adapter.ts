import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { Logger, type INestApplicationContext, type WsMessageHandler } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { lastValueFrom, tap, type Observable } from 'rxjs';
import type { RawData, WebSocket, WebSocketServer } from 'ws';
import { AppError } from '../common/app-error.js';
import { answerOnSocket, answerUnderWay, pathOf } from '../common/http-error.filter.js';
import { parseStrictJson } from '../common/strict-json.js';
import type { Config } from '../config/config.js';
import { HeraldSocket } from './herald-socket.js';
import type { ServerMessage } from './ws-messages.js';

/** The pattern of the handler that answers messages of a type nobody else handles. */
export const OTHER_MESSAGES = '*';

/** More waiting messages than this, and the socket is not read until they are handled. */
const MAX_WAITING = 64;

/**
 * Nest's adapter for `ws`, mended where the contract needs more.
 *
 * Nest runs the handlers of one connection concurrently, so that an `auth` and the `subscribe` sent right behind it
 * race; it drops what it cannot parse or does not know without a word; and it leaves `ws` at 100 MiB a message.
 */
export class HeraldWsAdapter extends WsAdapter {
  private readonly log = new Logger('WebSocket');

  constructor(
    app: INestApplicationContext,
    private readonly config: Config,
  ) {
    super(app);
  }

  override create(port: number, options: Record<string, unknown> = {}): WebSocketServer {
    return super.create(port, {
      ...options,
      WebSocket: HeraldSocket,
      maxPayload: this.config.WS_MAX_MESSAGE_BYTES,
      // Events are small and many: compressing them would cost a context and milliseconds per connection.
      perMessageDeflate: false,
      maxFragments: 64,
      maxBufferedChunks: 256,
    }) as WebSocketServer;
  }

  /** Answers an upgrade to a path no gateway serves, where Nest's own listener hangs up without a word. */
  protected override ensureHttpServerExists(port: number, httpServer?: Server): Server | undefined {
    if (!httpServer || this.httpServersRegistry.has(port)) return super.ensureHttpServerExists(port, httpServer);
    this.httpServersRegistry.set(port, httpServer);
    httpServer.on('upgrade', (request, socket, head) => this.upgrade(port, request, socket, head));
    return httpServer;
  }

  private upgrade(port: number, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node takes its own listener off an upgraded socket; without one, a reset would end the process.
    socket.on('error', (error) => this.log.debug(`a handshake failed: ${error.message}`));
    // A handshake right behind a request: its answer would come before the request's, or inside a stream.
    if (answerUnderWay(socket)) return void socket.destroy();
    const path = pathOf(request.url ?? '');
    const servers = (this.wsServersRegistry.get(port) ?? []) as (WebSocketServer & { path: string })[];
    const server = servers.find((candidate) => candidate.path === path);
    if (server) {
      server.handleUpgrade(request, socket, head, (client) => server.emit('connection', client, request));
      return;
    }
    answerOnSocket(socket, new AppError('NOT_FOUND', `There is no WebSocket at ${path}`));
  }

  /** Handles the messages of a connection strictly one after the other, and answers every one. */
  override bindMessageHandlers(
    client: WebSocket,
    handlers: WsMessageHandler[],
    transform: (data: unknown) => Observable<unknown>,
  ): void {
    let waiting = 0;
    let turn: Promise<unknown> = Promise.resolve();
    client.on('message', (data, isBinary) => {
      waiting += 1;
      if (waiting === MAX_WAITING) client.pause();
      turn = turn
        .then(() => this.handle(client, handlers, transform, data, isBinary))
        .catch((error: unknown) => this.log.error(error))
        .finally(() => {
          waiting -= 1;
          if (waiting === 0 && client.isPaused) client.resume();
        });
    });
  }

  private async handle(
    client: WebSocket,
    handlers: readonly WsMessageHandler[],
    transform: (data: unknown) => Observable<unknown>,
    data: RawData,
    isBinary: boolean,
  ): Promise<void> {
    const send = (answer: unknown): void => {
      if (answer !== undefined && client.readyState === client.OPEN) client.send(JSON.stringify(answer));
    };
    if (client.readyState !== client.OPEN) return;
    const message = parse(data, isBinary);
    if (typeof message === 'string')
      return send({ type: 'error', code: 'BAD_REQUEST', message } satisfies ServerMessage);
    const handlerOf = (type: string) => handlers.find(({ message: name }) => name === type);
    const handler = handlerOf(message.type) ?? handlerOf(OTHER_MESSAGES);
    // The callback goes through the gateway's guards, pipes and filters, which answer what it throws.
    if (handler)
      await lastValueFrom(transform(handler.callback(message, message.type)).pipe(tap(send)), { defaultValue: null });
  }

  /** Errors of a socket are its client's doing (a bad frame, a reset); `ws` closes it with the fitting code. */
  override bindErrorHandler(server: WebSocketServer): WebSocketServer {
    server.on('connection', (client: WebSocket) =>
      client.on('error', (error) => this.log.debug(`a connection failed: ${error.message}`)),
    );
    server.on('error', (error) => this.log.error(error));
    server.on('wsClientError', (error, socket) =>
      answerOnSocket(socket, new AppError('BAD_REQUEST', `This is no WebSocket handshake: ${error.message}`)),
    );
    return server;
  }
}

/** Returns the message, or the sentence that says why it is none. */
function parse(data: RawData, isBinary: boolean): { type: string } | string {
  if (isBinary) return 'Binary messages are not supported: send JSON as a text message';
  let value: unknown;
  try {
    // `ws` hands a text message over as one Buffer unless told otherwise.
    value = parseStrictJson((data as Buffer).toString('utf8'));
  } catch (error) {
    return `${(error as SyntaxError).message}: send one JSON object as a text message`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'A message is a JSON object with a "type", for example {"type":"ping"}';
  }
  const { type } = value as { type?: unknown };
  return { ...value, type: typeof type === 'string' ? type : '' };
}
