import type { OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { NestApplicationOptions } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';

type SecurityHook = Parameters<FastifyAdapter['registerSecurityHook']>[0];
type HookRequest = Parameters<SecurityHook>[0];

/**
 * Nest's adapter for Fastify, which can close its port before the rest of a shutdown, and sets the security headers once.
 *
 * Nest sets them on the raw response, one by one with each request; that makes Node check and write every other header the
 * slow way too, which is a tenth of a whole request.
 */
export class HeraldHttpAdapter extends FastifyAdapter {
  private readonly sockets = new Set<Socket>();

  override initHttpServer(options: NestApplicationOptions): void {
    super.initHttpServer(options);
    this.httpServer.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /**
   * Closes the port: new connections are refused, and those that carry no request are closed. Requests under way are
   * still answered; closing the application waits for them.
   *
   * @param requestsMs - how long they may take.
   */
  stopAccepting(requestsMs: number): void {
    this.httpServer.close();
    // Node counts a connection that has never sent a byte among those with a request under way.
    for (const socket of this.sockets) if (socket.bytesRead === 0) socket.destroy();
    // A client that never finishes its request must not keep the rest of the shutdown from its share of the time.
    setTimeout(() => this.httpServer.closeAllConnections(), requestsMs).unref();
  }

  override registerSecurityHook(hook: SecurityHook): void {
    let headers: OutgoingHttpHeaders | undefined;
    this.getInstance<FastifyInstance>().addHook('onRequest', (request, reply, done) => {
      headers ??= headersOf(hook, request);
      void reply.headers(headers);
      done();
    });
  }
}

/** What the hook sets, and it sets the same with every request. */
function headersOf(hook: SecurityHook, request: HookRequest): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  hook(request, {
    setHeader: (name: string, value: string) => (headers[name.toLowerCase()] = value),
    removeHeader: () => undefined,
  });
  return headers;
}
