import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A TCP load balancer: passes each new connection on to one of the instances that are up, in turn. */
export class Balancer {
  private readonly targets: number[] = [];
  private readonly sockets = new Set<Socket>();
  private turn = 0;

  private constructor(private readonly server: Server) {
    server.on('connection', (client: Socket) => this.join(client));
  }

  static async start(): Promise<Balancer> {
    const server = createServer();
    const balancer = new Balancer(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Passes connections on to an instance from now on. */
  add(url: string): void {
    this.targets.push(Number(new URL(url).port));
  }

  /** Passes nothing more on to an instance; what is open stays until it ends by itself. */
  remove(url: string): void {
    const at = this.targets.indexOf(Number(new URL(url).port));
    if (at >= 0) this.targets.splice(at, 1);
  }

  async close(): Promise<void> {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await once(this.server, 'close');
  }

  private join(client: Socket): void {
    const port = this.targets[(this.turn += 1) % this.targets.length];
    const both = [client, ...(port === undefined ? [] : [connect(port, '127.0.0.1')])];
    const end = (): void => both.forEach((socket) => (socket.destroy(), this.sockets.delete(socket)));
    for (const socket of both) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', end);
    }
    const [, service] = both;
    if (!service) return end();
    client.pipe(service);
    service.pipe(client);
  }
}
