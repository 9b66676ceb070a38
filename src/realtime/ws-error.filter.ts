import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { WebSocket } from 'ws';
import { AppError } from '../common/app-error.js';
import { requestIdOf, type ServerMessage } from './ws-messages.js';

/** Answers what a message handler throws with `{"type":"error","message"}`; never with the message, which may hold a token. */
@Catch()
export class WsErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger(WsErrorFilter.name);

  catch(exception: unknown, host: ArgumentsHost): void {
    const ws = host.switchToWs();
    const client = ws.getClient<WebSocket>();
    if (!(exception instanceof AppError)) this.logger.error(exception);
    const message = exception instanceof AppError ? sentenceOf(exception) : 'Something went wrong on our side';
    if (client.readyState === client.OPEN) {
      const answer: ServerMessage = { type: 'error', message, ...requestIdOf(ws.getData()) };
      client.send(JSON.stringify(answer));
    }
  }
}

/** A WebSocket error is one sentence, so what the validation found out goes into it. */
function sentenceOf({ message, details = [] }: AppError): string {
  const particulars = details
    .filter(({ code }) => code === undefined)
    .map(({ field, message: what }) => `${field}: ${what}`);
  return particulars.length === 0 ? message : `The message is not valid: ${particulars.join('; ')}`;
}
