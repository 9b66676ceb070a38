import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { Api } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';

/** Stands in every secret that is made up, so that it is found wherever it should not be. */
export const SECRET_MARK = 's3cr3t';

const ADMIN = { email: 'admin@example.com', password: 'Admin-password-1' };

/** What a process still holds after its garbage was collected; bytes, and a number of sockets. */
interface Left {
  rss: number;
  heapUsed: number;
  external: number;
  sockets: number;
}

/** Every way to say who one is; all of one account, unless it says otherwise. */
export interface Credentials {
  userId: string;
  /** Access tokens of two sessions. */
  tokens: readonly string[];
  apiKey: string;
  /** Holds, but may not read events. */
  apiKeyWithoutScope: string;
  /** Another account. */
  stranger: { userId: string; token: string };
  /** Real, but not good for this; or good no more. */
  useless: readonly string[];
}

/** The built server as a process of its own, with accounts to speak for, and a check of whatever it prints. */
export class FuzzedServer {
  readonly api: Api;
  /** Lines of the log that should not be there. */
  private readonly complaints: string[] = [];
  private rest = '';
  private onLeft: ((left: Left) => void) | undefined;
  private secrets: readonly string[] = [SECRET_MARK];

  private constructor(
    private readonly server: BuiltServer,
    private readonly folder: ReturnType<typeof temporaryFolder>,
  ) {
    this.api = new Api(`${server.url}/api/v1`);
    server.output = '';
    server.process.stdout?.on('data', () => this.readOutput());
    server.process.stderr?.on('data', () => this.readOutput());
  }

  static async start(environment: Record<string, string> = {}): Promise<FuzzedServer> {
    const folder = temporaryFolder();
    const variables = {
      NODE_ENV: 'test',
      DATABASE_URL: `sqlite:${join(folder.path, 'herald.sqlite')}`,
      SQLITE_SYNCHRONOUS: 'NORMAL',
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      RATE_LIMIT_MAX: '0',
      AUTH_RATE_LIMIT_MAX: '0',
      JWT_EXPIRES_IN: '12h',
      WS_AUTH_TIMEOUT_MS: '3600000',
      WS_MAX_MESSAGES_PER_MINUTE: '0',
      REALTIME_MAX_CONNECTIONS: '0',
      REALTIME_MAX_CONNECTIONS_PER_USER: '0',
      REALTIME_MAX_CONNECTIONS_PER_ADDRESS: '0',
      REALTIME_MAX_UNAUTHENTICATED_PER_ADDRESS: '0',
      ...environment,
    };
    const command = `${process.execPath} --expose-gc --import ./test/fuzz/collect-garbage.mjs dist/src/main.js`;
    return new FuzzedServer(await BuiltServer.start(variables, command), folder);
  }

  get port(): number {
    return Number(new URL(this.server.url).port);
  }

  /** Makes an account and everything that speaks for it. */
  async credentials(): Promise<Credentials> {
    const { api } = this;
    const [user, other] = [await api.register(), await api.register()];
    const makeKey = (name: string, scope: string) => this.makeKey(user.accessToken, name, scope);
    const revoked = await makeKey('revoked', 'events:read');
    await api.delete(`/api-keys/${revoked.id}`, user.accessToken);
    const ended = await api.login(user);
    await api.post('/auth/logout', { refreshToken: ended.refreshToken }, ended.accessToken);
    const [head, claims, signature = ''] = user.accessToken.split('.');
    const credentials = {
      userId: user.id,
      tokens: [user.accessToken, (await api.login(user)).accessToken],
      apiKey: (await makeKey('reads', 'events:read')).rawKey,
      apiKeyWithoutScope: (await makeKey('reads nothing', 'users:read')).rawKey,
      stranger: { userId: other.id, token: other.accessToken },
      useless: [
        user.refreshToken,
        ended.accessToken,
        revoked.rawKey,
        `${head}.${claims}.${signature.split('').toReversed().join('')}`,
        `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`,
      ],
    };
    const { tokens, apiKey, apiKeyWithoutScope, stranger, useless } = credentials;
    this.secrets = [...this.secrets, ...tokens, apiKey, apiKeyWithoutScope, stranger.token, ...useless];
    return credentials;
  }

  /** Makes an API key, which is an event, and revokes it, which is another; returns the id of the newest event. */
  async makeEvents({ tokens: [token = ''] }: Credentials): Promise<string> {
    const { id } = await this.makeKey(token, 'news', 'events:read');
    await this.api.delete(`/api-keys/${id}`, token);
    const { body } = await this.api.get('/events?limit=200&type=api_key.created', token);
    return (body.data.items as { id: string }[]).at(-1)?.id ?? '';
  }

  async makeTicket({ tokens: [token = ''] }: Credentials): Promise<string> {
    const { status, body } = await this.api.post('/events/stream-tickets', undefined, token);
    expect(status, JSON.stringify(body)).toBe(201);
    return body.data.ticket as string;
  }

  /** Says what is wrong with text that the server sent or logged; undefined if nothing is. */
  leakIn(text: string): string | undefined {
    if (this.secrets.some((secret) => text.includes(secret))) return 'a secret came back';
    if (/\bat \S+ \(|node_modules|\.js:\d|went wrong on our side|SQLITE_|TypeError|ECONN/.test(text))
      return 'something internal came out';
    return undefined;
  }

  /** Waits until nobody is connected any more, and says what the process still holds. */
  async left(): Promise<Left> {
    await vi.waitFor(
      async () => {
        const text = await (await fetch(`${this.server.url}/metrics`)).text();
        const counts = [...text.matchAll(/^herald_realtime_connections\{.*\} (\d+)$/gm)].map(([, count]) => count);
        expect(counts).toEqual(counts.map(() => '0'));
        expect(counts.length).toBeGreaterThan(0);
      },
      { timeout: 60_000, interval: 50 },
    );
    const left = new Promise<Left>((resolve) => (this.onLeft = resolve));
    this.server.process.kill('SIGUSR2');
    return left;
  }

  /** Stops the server the way a deployment does; it must have lived until then and have had nothing to complain of. */
  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.server.process;
    const end = await this.server.stop('SIGTERM');
    this.folder.remove();
    expect([exitCode, signalCode], this.rest).toEqual([null, null]);
    expect(this.complaints).toEqual([]);
    expect(end).toEqual({ code: 0, signal: null });
  }

  private async makeKey(token: string, name: string, scope: string): Promise<{ id: string; rawKey: string }> {
    const { status, body } = await this.api.post('/api-keys', { name, scopes: [scope] }, token);
    expect(status, JSON.stringify(body)).toBe(201);
    return { id: body.data.key.id as string, rawKey: body.data.rawKey as string };
  }

  private readOutput(): void {
    const lines = (this.rest + this.server.output).split('\n');
    this.server.output = '';
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('{"left":')) {
        this.onLeft?.((JSON.parse(line) as { left: Left }).left);
      } else if (this.complaints.length < 5) {
        const isComplaint = !/^\{"level":[1-4]0,/.test(line) || this.secrets.some((secret) => line.includes(secret));
        if (isComplaint) this.complaints.push(line);
      }
    }
  }
}

/** What may be left after everybody has gone, against what was left before: bytes, and sockets. */
export interface Bound {
  bytes: number;
  sockets: number;
}

/** Returns what has grown past its bound, and the figures as text. */
export function compareLeft(before: Left, after: Left, bound: Bound): { grown: string[]; figures: string } {
  const live = (left: Left) => left.heapUsed + left.external;
  const mib = (bytes: number) => (bytes / 1_048_576).toFixed(1);
  const grown: string[] = [];
  if (live(after) > live(before) + bound.bytes) grown.push('memory');
  if (after.sockets > before.sockets + bound.sockets) grown.push('sockets');
  const side = (left: Left) => `${mib(live(left))} MiB live, ${mib(left.rss)} MiB RSS, ${left.sockets} sockets`;
  return { grown, figures: `${side(before)} -> ${side(after)}` };
}
