import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { answerUsage } from './usage.js';

/** What a connection costs at the very least: `ws` alone, which takes connections and does nothing with them. */
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', () => undefined);
server.listen(0, '127.0.0.1', () => {
  answerUsage();
  process.on('message', (message: { stop?: true }) => message.stop && process.exit(0));
  process.send?.({ port: (server.address() as AddressInfo).port });
});
