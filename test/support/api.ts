import { randomUUID } from 'node:crypto';
import type { Contract } from './contract.js';
import { recordSecrets, recordSecretsIn } from './recorder.js';

export interface Answer {
  status: number;
  headers: Headers;
  /** The parsed JSON body; undefined when there is none. */
  body: any; // oxlint-disable-line typescript/no-explicit-any -- tests look into bodies of every shape
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
}

/** A user as a test knows it. */
export interface TestUser extends Tokens {
  id: string;
  email: string;
  password: string;
}

/** Calls the REST API, and holds every answer against what the server's own document promises. */
export class Api {
  /** @param contract - undefined for a server in another process, which is not asked for its document. */
  constructor(
    readonly base: string,
    private readonly contract?: Contract,
  ) {}

  async call(
    method: string,
    path: string,
    options: { token?: string; body?: unknown; headers?: object } = {},
  ): Promise<Answer> {
    const { token, body, headers } = options;
    recordSecrets(options);
    recordSecretsIn(path);
    const response = await fetch(`${this.base}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    recordSecrets(text);
    const answer: unknown = text === '' ? undefined : JSON.parse(text);
    this.contract?.check(method, new URL(response.url).pathname, response.status, answer);
    return { status: response.status, headers: response.headers, body: answer };
  }

  get = (path: string, token?: string) => this.call('GET', path, { ...(token !== undefined && { token }) });
  post = (path: string, body: unknown, token?: string) =>
    this.call('POST', path, { body, ...(token !== undefined && { token }) });
  patch = (path: string, body: unknown, token: string) => this.call('PATCH', path, { body, token });
  delete = (path: string, token: string) => this.call('DELETE', path, { token });

  /** Registers an account with an address nobody else has. */
  async register(password = 'Correct-horse-1', email = `user-${randomUUID()}@example.com`): Promise<TestUser> {
    const { status, body } = await this.post('/auth/register', { email, password });
    if (status !== 201) throw new Error(`registration answered ${status}: ${JSON.stringify(body)}`);
    const tokens = body.data as Tokens;
    const profile = await this.get('/users/me', tokens.accessToken);
    return { ...tokens, id: profile.body.data.id as string, email, password };
  }

  async login({ email, password }: { email: string; password: string }): Promise<Tokens> {
    const { status, body } = await this.post('/auth/login', { email, password });
    if (status !== 200) throw new Error(`login answered ${status}: ${JSON.stringify(body)}`);
    return body.data as Tokens;
  }
}
