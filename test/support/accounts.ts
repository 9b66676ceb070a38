import { generateSync } from 'otplib';
import { expect, vi } from 'vitest';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { TotpFactor } from '../../src/mfa/totp-factor.entity.js';
import type { Answer, TestUser } from './api.js';
import { recordSecretsIn } from './recorder.js';
import type { TestServer } from './server.js';

/** Turns the second factor of a user on; the app's present code is good for one login. */
export async function turnOnMfa(
  { api, app }: TestServer,
  user: TestUser,
  enable: (body: object) => Promise<Answer> = (body) => api.post('/auth/mfa/enable', body, user.accessToken),
): Promise<{ code: string; recoveryCodes: string[] }> {
  const { secret } = (await api.post('/auth/mfa/setup', undefined, user.accessToken)).body.data as { secret: string };
  const code = generateSync({ secret });
  const { status, body } = await enable({ secret, code });
  expect(status, JSON.stringify(body)).toBe(200);
  await app.get(UnitOfWork).run((tx) => tx.update(TotpFactor, { userId: user.id }, { lastStep: 1 }));
  return { code, recoveryCodes: body.data.recoveryCodes as string[] };
}

/** Waits in the mailbox of development for the mail of a page to an address, and returns the token in its link. */
export async function mailedToken(
  { url }: TestServer,
  page: string,
  email: string,
  not: string[] = [],
): Promise<string> {
  const read = async (path: string) => (await fetch(`${url}${path}`)).text();
  return vi.waitFor(
    async () => {
      for (const [row] of (await read('/dev/mail')).matchAll(/<tr>.*?<\/tr>/g)) {
        if (!row.includes(email)) continue;
        const mail = await read(/\/dev\/mail\/[\w-]+/.exec(row)?.[0] ?? '');
        recordSecretsIn(mail);
        const token = new RegExp(`/${page}#token=([\\w-]{43})`).exec(mail)?.[1];
        if (token !== undefined && !not.includes(token)) return token;
      }
      throw new Error(`no mail to ${email} has a link to ${page} yet`);
    },
    { timeout: 5000, interval: 5 },
  );
}
