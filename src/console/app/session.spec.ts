import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { logIn, logOut, session } from './session.js';

const ALICE = '0199c6a0-0000-4000-8000-00000000000a';
const BOB = '0199c6a0-0000-4000-8000-00000000000b';

const page = vi.hoisted(() => ({
  auth: (): Promise<string> => Promise.reject(new Error('Not connected')),
  me: { id: '', email: 'admin@example.com', role: 'admin', mfaEnabled: false },
  close: vi.fn<() => void>(),
}));
vi.mock('../../client/herald-client.js', async (original) => ({
  ...(await original<object>()),
  HeraldClient: class {
    readonly api = {
      get: () => Promise.resolve(page.me),
      post: () => Promise.resolve({ accessToken: '', refreshToken: 'of the login' }),
    };
    readonly close = page.close;
    connect({ auth }: { auth: () => Promise<string> }): void {
      page.auth = auth;
    }
  },
}));

const tokenOf = (sub: string): string => `e30.${btoa(JSON.stringify({ sub })).replaceAll('=', '')}.c2ln`;

/** What the service answers the page with. */
let answer: () => Response;
let asked: string[];

const give = (sub: string): void => {
  answer = () => Response.json({ data: { accessToken: tokenOf(sub) } });
};

describe('the session of the page', () => {
  beforeEach(async () => {
    asked = [];
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('fetch', async (path: string, { method }: RequestInit) => {
      asked.push(`${method} ${path}`);
      return answer();
    });
    Object.assign(page.me, { id: ALICE, role: 'admin' });
    session.value = { status: 'anonymous' };
    give(ALICE);
    await logIn('admin@example.com', 'password');
    // The token of the login itself.
    await page.auth();
    page.close.mockClear();
  });

  afterEach(() => vi.unstubAllGlobals());

  it('goes on with a token of the same account', async () => {
    expect(await page.auth()).toBe(tokenOf(ALICE));
    expect(session.value.status).toBe('open');
  });

  it('leaves when another account has logged in in another tab', async () => {
    give(BOB);
    await expect(page.auth()).rejects.toMatchObject({ status: 401 });
    expect(session.value).toEqual({
      status: 'anonymous',
      notice: expect.stringContaining('Another account has logged in in this browser'),
    });
    expect(page.close).toHaveBeenCalledOnce();
    expect(asked).not.toContain('DELETE /console/session');
  });

  it('logs out on the server first', async () => {
    answer = () => {
      expect(page.close).not.toHaveBeenCalled();
      return new Response(null, { status: 204 });
    };
    await logOut();
    expect(page.close).toHaveBeenCalledOnce();
    expect(session.value).toEqual({ status: 'anonymous' });
  });

  it('stays as it was when it cannot log out', async () => {
    answer = () => Response.json({ error: { code: 'RATE_LIMITED', message: 'Too many requests' } }, { status: 429 });
    await expect(logOut()).rejects.toMatchObject({ code: 'RATE_LIMITED', status: 429 });
    expect(page.close).not.toHaveBeenCalled();
    expect(session.value.status).toBe('open');
  });

  it('closes the connection of who is no admin, whether the log-out succeeds or not', async () => {
    session.value = { status: 'anonymous' };
    page.me.role = 'user';
    const answers = [answer, () => Response.error()];
    answer = () => (answers.shift() ?? Response.error)();
    await expect(logIn('user@example.com', 'password')).rejects.toThrow();
    expect(page.close).toHaveBeenCalledOnce();
  });
});
