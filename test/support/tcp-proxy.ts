import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What a proxy does with bytes. */
export interface ProxyConduct {
  /** Cuts connections on which nothing was said for so long. */
  idleMs?: number;
  /** Passes every piece on so much later. */
  delayMs?: number;
  /** Takes bytes and passes none on: both ends believe in a connection that is dead. */
  swallows?: boolean;
  /** Hangs up on a WebSocket's handshake. */
  refusesUpgrades?: boolean;
}

interface Pair {
  client: Socket;
  service: Socket;
  conduct: ProxyConduct;
  /** What the client said first. */
  greeting: string;
}

/** A TCP proxy between a client and the service, as good or bad as a test says; later changes are for open connections too. */
export class TcpProxy {
  conduct: ProxyConduct = {};
  /** Passes the next piece that matches on to the service, and cuts its connection before the answer. */
  losesAnswerTo: RegExp | undefined;
  /** Connections that were made so far. */
  count = 0;
  private readonly pairs = new Set<Pair>();

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (client: Socket) => this.join(client));
  }

  /** @param url - of the service. */
  static async start(url: string): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server, Number(new URL(url).port));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Returns a URL of the service by way of the proxy. */
  through(url: string): string {
    const { hostname, port } = new URL(this.url);
    return Object.assign(new URL(url), { hostname, port }).href;
  }

  /** Makes the connections that are open now go dead, or those whose first words hold a text; new ones are passed on. */
  silence(greeting = ''): void {
    for (const pair of this.pairsWith(greeting)) pair.conduct = { swallows: true };
  }

  /** Does not read from the service for the connections that are open now. */
  stall(): void {
    for (const { service } of this.pairs) service.pause();
  }

  /** Reads on. */
  flow(): void {
    for (const { service } of this.pairs) service.resume();
  }

  /** Cuts the connections that are open now, or those whose first words hold a text. */
  cut(greeting = ''): void {
    for (const { client, service } of this.pairsWith(greeting))
      for (const socket of [client, service]) socket.destroy();
  }

  private pairsWith(greeting: string): Pair[] {
    return [...this.pairs].filter((pair) => pair.greeting.includes(greeting));
  }

  async close(): Promise<void> {
    this.server.close();
    this.cut();
    await once(this.server, 'close');
  }

  private join(client: Socket): void {
    this.count += 1;
    const service = connect(this.target, '127.0.0.1');
    const pair: Pair = { client, service, conduct: this.conduct, greeting: '' };
    client.once('data', (chunk: Buffer) => (pair.greeting = chunk.toString('latin1')));
    this.pairs.add(pair);
    const { idleMs = 0 } = this.conduct;
    for (const [from, to] of [
      [client, service],
      [service, client],
    ] as const) {
      from.setTimeout(idleMs, () => end());
      from.on('error', () => undefined);
      from.on('data', (chunk: Buffer) => this.pass(pair, to, chunk));
      from.on('close', () => end());
    }
    const end = (): void => {
      this.pairs.delete(pair);
      for (const socket of [client, service]) socket.destroy();
    };
  }

  private pass({ conduct, client, service }: Pair, to: Socket, chunk: Buffer): void {
    const { swallows, delayMs = 0, refusesUpgrades } = conduct;
    if (swallows) return;
    if (to === service && this.losesAnswerTo?.test(chunk.toString('latin1'))) {
      this.losesAnswerTo = undefined;
      service.removeAllListeners('data');
      service.once('data', () => [client, service].forEach((socket) => socket.destroy()));
    }
    if (refusesUpgrades && to === service && /^upgrade: websocket/im.test(chunk.toString('latin1'))) {
      client.destroy();
    } else if (delayMs > 0) setTimeout(() => to.write(chunk), delayMs);
    else to.write(chunk);
  }
}
