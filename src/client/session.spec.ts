import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Http } from './http.js';
import { Session, type Auth, type Tokens } from './session.js';

const NOW = Date.UTC(2026, 1, 16, 12);
const MINUTE_MS = 60_000;

let made = 0;
/** A token that was issued at a time and lives a quarter of an hour. */
function tokenOf(issuedAt: number): string {
  const iat = issuedAt / 1000;
  return `x.${btoa(JSON.stringify({ iat, exp: iat + 900, n: (made += 1) }))}.x`;
}
const pairOf = (issuedAt: number): Tokens => ({ accessToken: tokenOf(issuedAt), refreshToken: `refresh ${made}` });

/** A service whose clock is so far ahead of this one. */
function serviceOf(aheadMs = 0) {
  const refreshed: string[] = [];
  const http: Http = {
    base: 'http://herald/api/v1',
    timeoutMs: 1000,
    fetch: (_url, init) => {
      refreshed.push((JSON.parse(init?.body as string) as { refreshToken: string }).refreshToken);
      return Promise.resolve(Response.json({ data: pairOf(Date.now() + aheadMs) }));
    },
  };
  return { refreshed, session: (auth: Auth) => new Session(http, auth) };
}

describe('Session', () => {
  beforeEach(() => void vi.useFakeTimers({ now: NOW }));
  afterEach(() => void vi.useRealTimers());

  it('keeps a token until shortly before it expires, then replaces it, once for everybody', async () => {
    const { refreshed, session } = serviceOf();
    const auth = pairOf(NOW);
    const one = session(auth);
    expect(await one.credentials()).toEqual({ token: auth.accessToken });
    vi.setSystemTime(NOW + 14.4 * MINUTE_MS);
    expect(await one.credentials()).toEqual({ token: auth.accessToken });
    expect(one.isDue(auth.accessToken)).toBe(false);
    vi.setSystemTime(NOW + 14.5 * MINUTE_MS);
    expect(one.isDue(auth.accessToken)).toBe(true);
    const tokens = await Promise.all(Array.from({ length: 5 }, () => one.credentials()));
    expect(new Set(tokens.map((each) => each?.token)).size).toBe(1);
    expect(refreshed).toEqual([auth.refreshToken]);
    expect(one.isDue(tokens[0]?.token)).toBe(false);
  });

  it('leaves the tokens of the app as they were', async () => {
    const auth = pairOf(NOW - 16 * MINUTE_MS);
    const before = { ...auth };
    await serviceOf().session(auth).credentials();
    expect(auth).toEqual(before);
  });

  it.each([-60, 60])('does not replace each new token at once by a clock that is %i minutes off', async (minutes) => {
    const { refreshed, session } = serviceOf(minutes * MINUTE_MS);
    const one = session(pairOf(NOW + minutes * MINUTE_MS));
    for (let n = 0; n < 5; n += 1) await one.credentials();
    expect(refreshed.length).toBeLessThanOrEqual(1);
  });

  it('has what was refused replaced, unless it was already', async () => {
    const { refreshed, session } = serviceOf();
    const one = session(pairOf(NOW));
    const first = (await one.credentials())?.token ?? '';
    one.expire(first);
    await one.credentials();
    one.expire(first);
    await one.credentials();
    expect(refreshed).toHaveLength(1);
  });

  it('takes from the store what another tab has put there', async () => {
    const { refreshed, session } = serviceOf();
    let kept = pairOf(NOW);
    const one = session({ get: () => kept, set: (tokens) => (kept = tokens) });
    const { token = '' } = (await one.credentials()) ?? {};
    const other = pairOf(NOW);
    kept = other;
    one.expire(token);
    expect(await one.credentials()).toEqual({ token: other.accessToken });
    expect(refreshed).toEqual([]);
    one.expire(other.accessToken);
    await one.credentials();
    expect(refreshed).toEqual([other.refreshToken]);
    expect(kept).not.toBe(other);
  });

  it('asks a source of the app, with the token that is stale', async () => {
    const asked: (string | undefined)[] = [];
    const one = serviceOf().session((stale) => {
      asked.push(stale);
      return tokenOf(NOW);
    });
    const { token = '' } = (await one.credentials()) ?? {};
    one.expire(token);
    await one.credentials();
    expect(asked).toEqual([undefined, token]);
  });

  it('fails where there is no token, and for nobody else than it was', async () => {
    const { session } = serviceOf();
    await expect(session({ get: () => null, set: () => undefined }).credentials()).rejects.toMatchObject({
      status: 401,
    });
    await expect(session(() => '').credentials()).rejects.toMatchObject({ status: 401 });
    let give: (token: string) => void = () => undefined;
    const one = session(() => new Promise<string>((resolve) => (give = resolve)));
    const asked = one.credentials();
    one.become({ apiKey: 'oapi_x' });
    give('of somebody who was');
    expect(await asked).toEqual({ apiKey: 'oapi_x' });
  });
});
