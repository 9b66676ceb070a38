/**
 * The door for tests of extensions: a Herald of their own, as a process, the way it is deployed.
 *
 * Only the build has it: `herald/testing`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ADMIN = { email: 'admin@example.com', password: 'Admin-password-1' };

/** What an HTTP request was answered. */
export interface TestAnswer {
  status: number;
  /** The parsed JSON; undefined when there is none. */
  body: any; // oxlint-disable-line typescript/no-explicit-any -- tests look into bodies of every shape
}

/**
 * Starts a Herald with some extensions, an empty database, a free port and no rate limits; resolves once it listens.
 *
 * @param options.extensions - as in `HERALD_EXTENSIONS`; paths are relative to the working directory.
 * @param options.environment - variables beside those, or instead of them. Nothing is inherited.
 * @throws Error with all that Herald has printed, when it does not start.
 */
export async function startHerald(options: {
  extensions: readonly string[];
  environment?: Readonly<Record<string, string>>;
}): Promise<TestHerald> {
  const folder = await mkdtemp(join(tmpdir(), 'herald-'));
  const extensions = options.extensions.map((name) => (name.startsWith('.') ? resolve(name) : name));
  const child = spawn(process.execPath, [fileURLToPath(new URL('./main.js', import.meta.url))], {
    // A folder of its own: no `.env` of a developer's is read.
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      NODE_ENV: 'test',
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_FORMAT: 'json',
      DATABASE_URL: `sqlite:${join(folder, 'herald.sqlite')}`,
      RATE_LIMIT_MAX: '0',
      AUTH_RATE_LIMIT_MAX: '0',
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      HERALD_EXTENSIONS: extensions.join(','),
      ...options.environment,
    },
  });
  const herald = new TestHerald(child, folder);
  await herald.listening();
  return herald;
}

/** A Herald that a test has started. */
export class TestHerald {
  /** Where it listens: `http://127.0.0.1:<port>`. */
  url = '';
  /** Everything that it has printed. */
  output = '';
  private readonly ended: Promise<number | null>;

  constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.ended = once(child, 'close').then(([code]) => code as number | null);
  }

  /** Registers an account with an address that nobody has, and returns its access token. */
  async register(): Promise<string> {
    const body = { email: `${randomUUID()}@example.com`, password: 'Correct-horse-1' };
    return this.tokenOf(await this.call('POST', '/auth/register', { body }));
  }

  /** Logs in as the admin, and returns the access token. */
  async loginAsAdmin(): Promise<string> {
    return this.tokenOf(await this.call('POST', '/auth/login', { body: ADMIN }));
  }

  /** Calls the REST API. @param path - after `/api/v1`. */
  async call(
    method: string,
    path: string,
    { token, body }: { token?: string; body?: unknown } = {},
  ): Promise<TestAnswer> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** Stops it in order and removes its database. @throws Error with what it has printed, when it did not end well. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const code = await this.ended;
    await rm(this.folder, { recursive: true, force: true });
    if (code !== 0) throw new Error(`Herald ended with ${code}:\n${this.output}`);
  }

  /** Resolves once it listens; {@link startHerald} has waited for it. @throws Error when it ends instead. */
  async listening(): Promise<void> {
    const told = new Promise<void>((settle) => {
      this.child.stdout?.on('data', () => {
        this.url ||= /listening on (http:[^\s"]+)/.exec(this.output)?.[1] ?? '';
        if (this.url !== '') settle();
      });
    });
    const failed = this.ended.then(async () => {
      await rm(this.folder, { recursive: true, force: true });
      throw new Error(`Herald did not start:\n${this.output}`);
    });
    await Promise.race([told, failed]);
    // From here on its end is no failure of the start.
    failed.catch(() => undefined);
  }

  private tokenOf({ status, body }: TestAnswer): string {
    if (status >= 300) throw new Error(`Herald answered ${status}: ${JSON.stringify(body)}`);
    return body.data.accessToken as string;
  }
}
