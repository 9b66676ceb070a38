import type { IncomingMessage } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';
import { Injectable, Logger, UseFilters, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import {
  ConnectedSocket,
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
} from '@nestjs/websockets';
import { Authenticator } from '../auth/authenticator.service.js';
import { AppError } from '../common/app-error.js';
import type { Principal } from '../common/principal.js';
import { Config } from '../config/config.js';
import { checkFilters } from '../events/event-filter.js';
import { EventJournal } from '../events/event-journal.service.js';
import { CLOSE } from './close-codes.js';
import { ConnectionLimits, TooManyConnections } from './connection-limits.service.js';
import type { HeraldSocket } from './herald-socket.js';
import { OTHER_MESSAGES } from './herald-ws.adapter.js';
import { isAllowedOrigin } from './origin.js';
import { RealtimeHub } from './realtime-hub.service.js';
import { WsConnection } from './ws-connection.js';
import { WsErrorFilter } from './ws-error.filter.js';
import { clientMessages, requestIdOf, type ClientMessage, type ServerMessage } from './ws-messages.js';

/** The connection behind a socket that the gateway let in. */
function connectionOf({ connection }: HeraldSocket): WsConnection {
  if (!connection) throw new AppError('UNAUTHORIZED', 'Authentication required');
  return connection;
}

/** Lets through only messages of connections that have authenticated. */
@Injectable()
class WsAuthGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const connection = connectionOf(context.switchToWs().getClient<HeraldSocket>());
    await connection.settled;
    if (connection.principal) return true;
    throw new AppError('UNAUTHORIZED', 'Authentication required');
  }
}

/** The WebSocket protocol of the contract; the adapter sees to it that a connection's messages are handled in order. */
@WebSocketGateway({ path: '/ws' })
@UseFilters(WsErrorFilter)
export class RealtimeGateway implements OnGatewayConnection, OnGatewayDisconnect {
  private readonly logger = new Logger(RealtimeGateway.name);
  private readonly trust: (address: string, hop: number) => boolean;

  constructor(
    private readonly hub: RealtimeHub,
    private readonly authenticator: Authenticator,
    private readonly journal: EventJournal,
    private readonly limits: ConnectionLimits,
    private readonly config: Config,
  ) {
    this.trust = proxyAddr.compile([...config.TRUST_PROXY]);
  }

  handleConnection(client: HeraldSocket, request: IncomingMessage): void {
    if (!isAllowedOrigin(request.headers, this.config.allowedOrigins)) {
      this.logger.warn({ msg: 'refused an origin', ip: this.addressOf(request) });
      return client.close(CLOSE.policy, 'The origin is not allowed');
    }
    const ip = this.addressOf(request);
    try {
      const place = this.limits.take(ip);
      client.connection = new WsConnection(client, request, ip, place, this.config, Date.now());
    } catch (error) {
      return this.refuse(client, error, { ip });
    }
    this.hub.add(client.connection);
    const ticket = new URL(request.url ?? '', 'ws://x').searchParams.get('ticket');
    if (ticket === null) return;
    // What the client sends meanwhile waits for it.
    client.connection.settled = this.authenticate(client, { type: 'auth', ticket })
      .then((answer) => answer && client.connection?.answer(answer))
      .catch((error: unknown) => this.logger.error({ msg: 'a ticket could not be looked at', err: error }));
  }

  /** Closes a connection for which there is no place. */
  private refuse(client: HeraldSocket, error: unknown, who: object): void {
    if (!(error instanceof TooManyConnections)) throw error;
    this.logger.warn({ msg: error.message, ...who });
    client.close(error.limit === 'server' ? CLOSE.tryAgainLater : CLOSE.policy, error.message);
  }

  /** Behind trusted proxies, the address that they name. */
  private addressOf(request: IncomingMessage): string {
    return proxyAddr(request, this.trust) ?? '';
  }

  handleDisconnect(client: HeraldSocket, code: string | number = 1006): void {
    if (!client.connection) return;
    this.hub.remove(client.connection, code);
    client.connection.place.release();
  }

  @SubscribeMessage('auth')
  async auth(
    @ConnectedSocket() client: HeraldSocket,
    @MessageBody({ schema: clientMessages.auth }) message: ClientMessage<'auth'>,
  ): Promise<ServerMessage | undefined> {
    await connectionOf(client).settled;
    return this.authenticate(client, message);
  }

  private async authenticate(client: HeraldSocket, message: ClientMessage<'auth'>): Promise<ServerMessage | undefined> {
    const connection = connectionOf(client);
    const principal = await this.principalOf(message);
    // A connection is one account's for good; its session may be refreshed in place.
    const isOther = connection.principal && connection.principal.userId !== principal?.userId;
    const { ip } = connection;
    if (!principal || isOther || (principal.scopes && !principal.scopes.includes('events:read'))) {
      this.logger.warn({ msg: 'auth refused', ip, actorId: principal?.userId });
      return { type: 'auth', ok: false, ...requestIdOf(message) };
    }
    try {
      connection.place.assign(principal.userId);
    } catch (error) {
      this.refuse(client, error, { ip, actorId: principal.userId });
      return undefined;
    }
    this.logger.log({ msg: 'auth', ip, actorId: principal.userId });
    connection.principal = principal;
    // What the client asks for next waits for it.
    connection.settled = Promise.all([connection.settled, this.hub.recheck(connection)]).then(() => undefined);
    return { type: 'auth', ok: true, userId: principal.userId, ...requestIdOf(message) };
  }

  /** Undefined for a token or key that is not valid. */
  private async principalOf({ token, apiKey, ticket = '' }: ClientMessage<'auth'>): Promise<Principal | undefined> {
    try {
      if (token !== undefined) return await this.authenticator.authenticate(token);
      if (apiKey !== undefined) return await this.authenticator.authenticateKey(apiKey);
      return await this.authenticator.authenticateTicket(ticket);
    } catch (error) {
      if (error instanceof AppError && error.code === 'UNAUTHORIZED') return undefined;
      throw error;
    }
  }

  @UseGuards(WsAuthGuard)
  @SubscribeMessage('subscribe')
  async subscribe(
    @ConnectedSocket() client: HeraldSocket,
    @MessageBody({ schema: clientMessages.subscribe }) message: ClientMessage<'subscribe'>,
  ): Promise<void> {
    const connection = connectionOf(client);
    const filters = checkFilters(message.events);
    const { lastEventId } = message;
    const position = lastEventId === undefined ? undefined : await this.journal.locate(lastEventId, 'lastEventId');
    // Last, so that nothing comes between it and the subscription.
    await connection.settled;
    // Answered here and not by returning, so that no event comes before the confirmation, nor a live one before `replayed`.
    const events = [...new Set([...connection.filters.keys(), ...filters])];
    connection.answer({ type: 'subscribed', events, ...requestIdOf(message) });
    if (!position) return this.hub.subscribe(connection, filters);
    await this.hub.replay(connection, filters, position, {
      onCaughtUp: (result) => connection.answer({ type: 'replayed', ...result, ...requestIdOf(message) }),
    });
  }

  @UseGuards(WsAuthGuard)
  @SubscribeMessage('unsubscribe')
  unsubscribe(
    @ConnectedSocket() client: HeraldSocket,
    @MessageBody({ schema: clientMessages.unsubscribe }) message: ClientMessage<'unsubscribe'>,
  ): ServerMessage {
    const connection = connectionOf(client);
    this.hub.unsubscribe(connection, checkFilters(message.events));
    return { type: 'subscribed', events: [...connection.filters.keys()], ...requestIdOf(message) };
  }

  @SubscribeMessage('ping')
  ping(@MessageBody({ schema: clientMessages.ping }) message: ClientMessage<'ping'>): ServerMessage {
    return { type: 'pong', ...requestIdOf(message) };
  }

  @UseGuards(WsAuthGuard)
  @SubscribeMessage(OTHER_MESSAGES)
  other(): never {
    const types = Object.keys(clientMessages).join(', ');
    throw new AppError('VALIDATION', `The message has no known "type"; known types: ${types}`);
  }
}
