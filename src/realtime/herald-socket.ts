import { WebSocket } from 'ws';
import type { WsConnection } from './ws-connection.js';

type Message = Parameters<WebSocket['send']>[0];
type SendOptions = Parameters<WebSocket['send']>[1];
type SendCallback = (error?: Error) => void;

/**
 * A server's WebSocket that knows its connection.
 *
 * Events are written below `ws` and may wait for a moment; what is sent by way of it comes after those that were there.
 */
export class HeraldSocket extends WebSocket {
  /** Undefined for a client that the gateway did not let in. */
  connection: WsConnection | undefined;

  override send(message: Message, options?: SendOptions | SendCallback, callback?: SendCallback): void {
    this.connection?.sendWaiting();
    if (typeof options === 'object') super.send(message, options, callback);
    else super.send(message, options);
  }
}
