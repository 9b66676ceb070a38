import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { WebSocket } from 'ws';
import { AppError } from '../common/app-error.js';
import { isDatabaseAway } from '../common/database-away.js';
import { requestIdOf, type ServerMessage } from './ws-messages.js';

type ErrorMessage = Extract<ServerMessage, { type: 'error' }>;

/** Answers what a message handler throws with `{"type":"error","code","message","details"?}`; never with the message, which may hold a token. */
@Catch()
export class WsErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger(WsErrorFilter.name);

  catch(exception: unknown, host: ArgumentsHost): void {
    const ws = host.switchToWs();
    const client = ws.getClient<WebSocket>();
    if (!(exception instanceof AppError)) this.logger.error(exception);
    if (client.readyState === client.OPEN) {
      const answer: ServerMessage = {
        type: 'error',
        ...contentOf(toAppError(exception)),
        ...requestIdOf(ws.getData()),
      };
      client.send(JSON.stringify(answer));
    }
  }
}

function toAppError(exception: unknown): AppError {
  if (exception instanceof AppError) return exception;
  if (isDatabaseAway(exception)) return new AppError('SERVICE_UNAVAILABLE', 'The service is not available right now');
  return new AppError('INTERNAL', 'Something went wrong on our side');
}

/** A WebSocket error is one sentence, so what the validation found out goes into it; what is for programs stays apart. */
function contentOf({ code, message, details = [] }: AppError): Pick<ErrorMessage, 'code' | 'message' | 'details'> {
  const coded = details.filter((detail) => detail.code !== undefined);
  const particulars = details
    .filter((detail) => detail.code === undefined)
    .map(({ field, message: what }) => `${field}: ${what}`);
  return {
    code,
    message: particulars.length === 0 ? message : `The message is not valid: ${particulars.join('; ')}`,
    ...(coded.length > 0 && { details: coded }),
  };
}
