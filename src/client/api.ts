import { call, headersOf, HeraldError, type Http } from './http.js';
import type { Session } from './session.js';

/** What {@link Api.request} may be given beside a body. */
export interface RequestOptions {
  signal?: AbortSignal;
}

/** These are for who has no token, or one that is no longer good. */
const PUBLIC = /^\/auth\/(register|login|refresh|mfa\/verify|verify-email|forgot-password|reset-password)$/;

/** Calls the service's REST API as who the client is. */
export class Api {
  readonly #http: Http;
  readonly #session: Session;

  constructor(http: Http, session: Session) {
    this.#http = http;
    this.#session = session;
  }

  /**
   * Sends a request and returns the `data` of its answer; undefined for one without a body.
   *
   * @param path - below `/api/v1`, such as `/users/me`.
   * @throws HeraldError
   */
  async request<T = unknown>(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<T> {
    const send = async (headers: Record<string, string>): Promise<T> => {
      const response = await call(this.#http, path, { method, headers, body, ...options });
      return response as T;
    };
    if (PUBLIC.test(path)) return send({});
    const credentials = await this.#session.credentials();
    try {
      return await send(headersOf(credentials));
    } catch (error) {
      if (!(error instanceof HeraldError) || error.status !== 401 || !credentials?.token) throw error;
      // A wrong password is answered with 401 as well, and sent again it would count twice: only reading is repeated.
      if (method !== 'GET') throw error;
      this.#session.expire(credentials.token);
      return send(headersOf(await this.#session.credentials()));
    }
  }

  get = <T = unknown>(path: string, options?: RequestOptions): Promise<T> =>
    this.request<T>('GET', path, undefined, options);
  post = <T = unknown>(path: string, body?: unknown, options?: RequestOptions): Promise<T> =>
    this.request<T>('POST', path, body, options);
  patch = <T = unknown>(path: string, body?: unknown, options?: RequestOptions): Promise<T> =>
    this.request<T>('PATCH', path, body, options);
  delete = <T = unknown>(path: string, options?: RequestOptions): Promise<T> =>
    this.request<T>('DELETE', path, undefined, options);
}
