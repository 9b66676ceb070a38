import { call, HeraldError, type Credentials, type Http } from './http.js';

/** What a login answers with. */
export interface Tokens {
  accessToken: string;
  refreshToken: string;
}

/** Where an app keeps its tokens, shared by its tabs or across reloads. */
export interface TokenStore {
  get(): Tokens | null | undefined | Promise<Tokens | null | undefined>;
  set(tokens: Tokens): unknown;
}

/** An app's own source of access tokens. @param stale - the one before, which is about to expire or was refused. */
export type TokenSource = (stale: string | undefined) => string | Promise<string>;

/** Who the client is. */
export type Auth = Tokens | TokenStore | TokenSource | { apiKey: string };

/** A token is replaced this long before it expires; one that lives shortly, in the second half of its life. */
const MARGIN_MS = 30_000;

/** Holds who the client is: one valid access token, replaced before it expires, once for all who need it. */
export class Session {
  readonly #http: Http;
  #auth: Auth | undefined;
  #token: string | undefined;
  /** When the token is to be replaced, by the clock here, in epoch ms. */
  #renewAt = Number.POSITIVE_INFINITY;
  #replacing: Promise<void> | undefined;

  constructor(http: Http, auth: Auth | undefined) {
    this.#http = http;
    if (auth) this.become(auth);
  }

  /** Becomes somebody else, or the same after a new login. */
  become(auth: Auth): void {
    // A copy: it is kept up to date here, and what the app holds stays the app's.
    this.#auth = 'accessToken' in auth ? { ...auth } : auth;
    this.#token = undefined;
    this.#replacing = undefined;
    this.#renewAt = Number.POSITIVE_INFINITY;
  }

  /** What to show; undefined for nobody. @throws HeraldError UNAUTHORIZED when no valid token is to be had. */
  async credentials(): Promise<Credentials | undefined> {
    const auth = this.#auth;
    if (!auth) return undefined;
    if ('apiKey' in auth) return { apiKey: auth.apiKey };
    // Twice: the first token may come from a store, and be old.
    for (let n = 0; n < 2 && auth === this.#auth && this.isDue(this.#token); n += 1) await this.#replace(auth);
    return auth === this.#auth ? { token: this.#token as string } : this.credentials();
  }

  /** Says whether a token that is in use should be replaced: it expires soon, or there is a newer one. */
  isDue(token: string | undefined): boolean {
    return token === undefined || token !== this.#token || Date.now() >= this.#renewAt;
  }

  /** Has a token replaced that the service says is about to expire, or has refused; nothing if it was replaced already. */
  expire(token: string): void {
    if (token === this.#token) this.#renewAt = 0;
  }

  async #replace(auth: Exclude<Auth, { apiKey: string }>): Promise<void> {
    const replacing = (this.#replacing ??= this.#fetchToken(auth).finally(() => {
      if (this.#replacing === replacing) this.#replacing = undefined;
    }));
    await replacing;
  }

  async #fetchToken(auth: Exclude<Auth, { apiKey: string }>): Promise<void> {
    const stale = this.#token;
    const token = await this.#next(auth, stale);
    if (this.#auth !== auth) return;
    if (!token) throw new HeraldError('UNAUTHORIZED', 'There is no access token', 401);
    this.#token = token;
    this.#renewAt = renewalOf(token, stale !== undefined);
  }

  #next(auth: Exclude<Auth, { apiKey: string }>, stale: string | undefined): string | Promise<string> {
    if (typeof auth === 'function') return auth(stale);
    if ('get' in auth) return alone(this.#http.base, () => this.#rotate(auth, stale));
    return this.#rotate({ get: () => auth, set: (tokens) => Object.assign(auth, tokens) }, stale);
  }

  async #rotate(store: TokenStore, stale: string | undefined): Promise<string> {
    const tokens = await store.get();
    if (!tokens) throw new HeraldError('UNAUTHORIZED', 'There are no tokens in the store', 401);
    // Another tab was faster.
    if (tokens.accessToken !== stale) return tokens.accessToken;
    const { refreshToken } = tokens;
    const fresh = (await call(this.#http, '/auth/refresh', { method: 'POST', body: { refreshToken } })) as Tokens;
    await store.set(fresh);
    return fresh.accessToken;
  }
}

/** Runs one at a time among the tabs of an origin, where the browser can see to that (Web Locks API). */
async function alone<T>(name: string, run: () => Promise<T>): Promise<T> {
  const { navigator } = globalThis as {
    navigator?: { locks?: { request: (name: string, run: () => Promise<T>) => Promise<T> } };
  };
  return navigator?.locks ? navigator.locks.request(`herald ${name}`, run) : run();
}

/** When a token is to be replaced, in epoch ms. @param isNew - it was issued just now. */
function renewalOf(token: string, isNew: boolean): number {
  const now = Date.now();
  const { exp, iat = exp } = claimsOf(token);
  if (exp === undefined || iat === undefined) return Number.POSITIVE_INFINITY;
  const lifetime = (exp - iat) * 1000;
  // A clock that is wrong must not have each new token replaced at once.
  const expiresAt = isNew && exp * 1000 <= now ? now + lifetime : exp * 1000;
  return expiresAt - Math.min(MARGIN_MS, lifetime / 2);
}

/** Reads the times of a JWT (RFC 7519 §4.1), in epoch seconds; of anything else, none. */
function claimsOf(token: string): { exp?: number; iat?: number } {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    return JSON.parse(atob(payload)) as { exp?: number; iat?: number };
  } catch {
    // Not a JWT: the service says when it expires.
    return {};
  }
}
