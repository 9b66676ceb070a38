import { randomBytes } from 'node:crypto';
import { BuiltServer } from '../support/built-server.js';
import { TestDatabase } from '../support/database.js';
import { startPostgres, type PostgresServer } from '../support/postgres.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Balancer } from './balancer.js';

/** The name under which the connection of an instance introduces itself. */
const OWN_CONNECTION = 'herald instance';

/** An instance, with a way of its own to the database. */
interface Instance {
  proxy: TcpProxy;
  url: string;
  server: BuiltServer | undefined;
  /** Whoever starts it again waits for whoever did so before. */
  turn: Promise<unknown>;
}

/** Instances of the built server behind a balancer, on a database that can be harmed. */
export class Cluster {
  private readonly instances: Instance[] = [];
  kills = 0;
  cuts = 0;
  /** What instances have said that went well until they were killed: lines at error level, to be explained. */
  readonly complaints: string[] = [];

  private constructor(
    private readonly postgres: PostgresServer,
    private readonly environment: Record<string, string>,
    readonly balancer: Balancer,
  ) {}

  static async start(size: number, environment: Record<string, string>): Promise<Cluster> {
    const postgres = await startPostgres();
    const database = await TestDatabase.createOn(postgres.url);
    const secrets = { JWT_SECRET: randomBytes(48).toString('base64'), DATA_KEY: randomBytes(32).toString('base64') };
    const cluster = new Cluster(postgres, { ...secrets, ...environment }, await Balancer.start());
    for (let n = 0; n < size; n += 1) {
      const proxy = await TcpProxy.start(postgres.url);
      const url = proxy.through(database.environment['DATABASE_URL'] ?? '');
      cluster.instances.push({ proxy, url, server: undefined, turn: Promise.resolve() });
    }
    // At once: the first start migrates, whoever it is.
    await Promise.all(cluster.instances.map((instance) => cluster.raise(instance)));
    return cluster;
  }

  get url(): string {
    return this.balancer.url;
  }

  get size(): number {
    return this.instances.length;
  }

  /** Kills an instance with SIGKILL and starts it again; resolves once it serves. */
  async kill(at: number): Promise<void> {
    const instance = this.instances[at] as Instance;
    instance.turn = instance.turn.then(async () => {
      await this.fell(instance);
      await this.raise(instance);
    });
    await instance.turn;
  }

  /** Cuts the connection that an instance listens on, or lets it go dead without a word. */
  harm(at: number, how: 'cut' | 'silence'): void {
    this.cuts += 1;
    this.instances[at]?.proxy[how](OWN_CONNECTION);
  }

  /** Stops the database and starts it again. */
  async restartDatabase(): Promise<void> {
    await this.postgres.stop();
    await this.postgres.start();
  }

  async close(): Promise<void> {
    for (const instance of this.instances) {
      await instance.turn;
      await this.fell(instance);
      await instance.proxy.close();
    }
    await this.balancer.close();
    await this.postgres.remove();
  }

  private async raise(instance: Instance): Promise<void> {
    // The database may be about to come back: who starts without one ends with a sentence, and is started again.
    for (let tries = 1; ; tries += 1) {
      try {
        instance.server = await BuiltServer.start({ ...this.environment, DATABASE_URL: instance.url });
        this.balancer.add(instance.server.url);
        return;
      } catch (error) {
        if (tries === 20 || !/DATABASE_URL|Connection terminated|ECONNRE|starting up|shutting down/.test(String(error)))
          throw error;
      }
    }
  }

  private async fell(instance: Instance): Promise<void> {
    const { server } = instance;
    if (!server) return;
    instance.server = undefined;
    this.kills += 1;
    const ended = server.stop('SIGKILL');
    this.balancer.remove(server.url);
    const { code, signal } = await ended;
    if (signal !== 'SIGKILL')
      throw new Error(`an instance had ended with ${code} before: ${server.output.slice(-3000)}`);
    this.complaints.push(...server.output.split('\n').filter((line) => /"level":[56]0/.test(line)));
  }
}
