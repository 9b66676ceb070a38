import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { WebSocket } from 'ws';
import { AppError } from '../common/app-error.js';
import { requestIdOf } from './ws-messages.js';

/** Answers what a message handler throws with `{"type":"error","message"}`; never with the message, which may hold a token. */
@Catch()
export class WsErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger(WsErrorFilter.name);

  catch(exception: unknown, host: ArgumentsHost): void {
    const ws = host.switchToWs();
    const client = ws.getClient<WebSocket>();
    const known = exception instanceof AppError;
    if (!known) this.logger.error(exception);
    const message = known ? exception.message : 'Something went wrong on our side';
    if (client.readyState === client.OPEN) {
      client.send(JSON.stringify({ type: 'error', message, ...requestIdOf(ws.getData()) }));
    }
  }
}
