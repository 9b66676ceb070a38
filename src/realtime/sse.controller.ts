import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Controller, Headers, Query, Res, Sse } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Observable } from 'rxjs';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { AllowScope, CurrentPrincipal, TokenInQuery, type Principal } from '../common/principal.js';
import { Config } from '../config/config.js';
import { checkFilters, splitList } from '../events/event-filter.js';
import { EventJournal, type CursorPosition } from '../events/event-journal.service.js';
import { eventId } from '../events/event.schemas.js';
import { ConnectionLimits } from './connection-limits.service.js';
import { RealtimeHub } from './realtime-hub.service.js';
import { SseConnection } from './sse-connection.js';

const lastEventIdSchema = eventId.meta({
  description: 'Resumes after an event.',
  examples: ['evt-01a20d15-9125-730d-a06d-4c865def98b5'],
});
const streamQuery = z.object({
  events: z
    .string()
    .optional()
    .meta({
      description: 'Types, separated by commas; `prefix.*` for several. All without it.',
      examples: ['user.*,login.*'],
    }),
  lastEventId: z
    .string()
    .optional()
    .meta(lastEventIdSchema.meta() ?? {}),
});

/**
 * The event stream.
 *
 * Nest's `@Sse()` guards the route, answers errors before the first byte, and tears down when the client leaves. The
 * frames are written by the hub, because Nest would encode each event once per client, and invent an id for every
 * message without one, which would destroy the browser's last event id.
 */
@AllowScope('events:read')
@Controller('events')
export class SseController {
  constructor(
    private readonly hub: RealtimeHub,
    private readonly journal: EventJournal,
    private readonly limits: ConnectionLimits,
    private readonly config: Config,
  ) {}

  @TokenInQuery()
  @Sse('stream')
  @Documented({
    summary: 'Follow the events live (Server-Sent Events)',
    description:
      'Its blocks are described in `/docs/asyncapi.json`. The header `Last-Event-ID` wins over the parameter.',
    mediaType: 'text/event-stream',
    answer: z.string(),
    headers: { 'Last-Event-ID': lastEventIdSchema },
    errors: {
      RATE_LIMITED: 'Too many requests, or too many live connections.',
      SERVICE_UNAVAILABLE: 'The server is going away.',
    },
  })
  async stream(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: streamQuery }) query: z.infer<typeof streamQuery>,
    @Headers('last-event-id') lastEventIdHeader: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Observable<never>> {
    if (this.hub.isClosing) throw new AppError('SERVICE_UNAVAILABLE', 'The server is going away');
    const filters = query.events === undefined ? ['*'] : checkFilters(splitList(query.events));
    // An EventSource that has seen no event yet may send an empty header.
    const lastEventId = lastEventIdHeader || query.lastEventId || undefined;
    const position = lastEventId === undefined ? undefined : await this.journal.locate(lastEventId, 'lastEventId');
    const { socket } = reply.request.raw;
    const { ip } = reply.request;
    // Who has left already would never give its place back; nothing may be awaited from here to the listeners.
    if (socket.destroyed) return new Observable<never>();
    const place = this.limits.take(ip, principal.userId);
    // How many streams one socket gets is the client's choice, one behind the other or all at once.
    socket.setMaxListeners(0);
    onGone(reply.raw, socket, () => place.release());
    return new Observable<never>((subscriber) => {
      const complete = () => subscriber.complete();
      const connection = new SseConnection(socket, ip, reply.raw, principal, this.config.SSE_HEARTBEAT_MS, complete);
      onHeadWritten(reply.raw, () => {
        // Nest ends the response of a client that has left, and that writes the head too.
        if (socket.destroyed) return;
        onGone(reply.raw, socket, () => this.hub.remove(connection, connection.endReason ?? 'left'));
        connection.open(Date.now());
        this.hub.add(connection);
        if (position?.complete === false && lastEventId !== undefined) connection.writeGap(lastEventId);
        void this.begin(connection, filters, position);
      });
    });
  }

  /** Subscribes by what the account may see now, not when its token was looked at. */
  private async begin(
    connection: SseConnection,
    filters: readonly string[],
    position: CursorPosition | undefined,
  ): Promise<void> {
    await this.hub.recheck(connection);
    await connection.settled;
    if (position) await this.hub.replay(connection, filters, position);
    else this.hub.subscribe(connection, filters);
  }
}

/**
 * Calls back once, when a response is over or its client has left.
 *
 * A response that waits behind a pipelined request never closes, only its socket does; and a socket that is kept open
 * carries one stream after the other.
 */
function onGone(response: ServerResponse, socket: Socket, callback: () => void): void {
  const gone = (): void => {
    socket.off('close', gone);
    response.off('close', gone);
    callback();
  };
  socket.once('close', gone);
  response.once('close', gone);
}

/** Calls back once Nest has written the stream's head, in which the contract wants a plain `no-cache`. */
function onHeadWritten(response: ServerResponse, callback: () => void): void {
  const writeHead = response.writeHead.bind(response) as (
    status: number,
    headers: OutgoingHttpHeaders,
  ) => ServerResponse;
  response.writeHead = ((status: number, headers: OutgoingHttpHeaders) => {
    writeHead(status, { ...headers, 'Cache-Control': 'no-cache' });
    callback();
    return response;
  }) as ServerResponse['writeHead'];
}
