import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Config } from '../../src/config/config.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobQueue } from '../../src/jobs/job-queue.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import type { JobState } from '../../src/jobs/job-types.js';
import { SmtpTransport } from '../../src/mail/mail-transport.js';
import { MailServer } from '../support/mail-server.js';
import { TestServer } from '../support/server.js';

const NOTICE = { template: 'account-locked', data: { at: '2026-02-16T12:00:00.000Z', ip: null } } as const;

/** Everything that is due has been done. */
async function settled({ app }: TestServer): Promise<void> {
  await app.get(DurableReaders).caughtUp();
  await app.get(JobWorker).idle();
}

describe('mail through a server', () => {
  let mails: MailServer;
  let server: TestServer;
  let queue: JobQueue;
  beforeAll(async () => {
    mails = await MailServer.start();
    server = await TestServer.start({
      MAIL_URL: mails.url,
      MAIL_FROM: 'Example <no-reply@mail.example>',
      LOCKOUT_MAX_ATTEMPTS: '2',
    });
    queue = server.app.get(JobQueue);
  });
  beforeEach(() => {
    mails.recipient = mails.data = () => 'take';
  });
  afterAll(async () => {
    await server.close();
    await mails.close();
  });

  const send = (to: string) => queue.submit('mail.send', { to, ...NOTICE });
  /** Lets a failed job run without its pause, until it is in a state. */
  async function untilState(id: string, state: JobState): Promise<void> {
    for (;;) {
      await settled(server);
      const job = await queue.get(id);
      if (job.state === state) return;
      if (job.state === 'failed') await queue.retry(id);
    }
  }

  it('tells the owner that the account was locked, and nobody of an address without one', async () => {
    const user = await server.api.register();
    for (const email of ['nobody@example.com', user.email]) {
      for (let n = 0; n < 2; n += 1) await server.api.post('/auth/login', { email, password: 'wrong' });
    }
    const mail = await mails.inbox.next(({ subject }) => subject === 'Your account was locked');
    expect(mail).toMatchObject({
      from: { address: 'no-reply@mail.example', name: 'Example' },
      to: [{ address: user.email }],
      envelopeTo: [user.email],
      text: expect.stringContaining('Address: 127.0.0.1.'),
      html: expect.stringContaining('<p>Your account was locked for a while'),
    });
    expect(mail.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-generated');
    await settled(server);
    expect(mails.inbox.all.flatMap(({ envelopeTo }) => envelopeTo)).not.toContain('nobody@example.com');
  });

  it('tells the owner that the password was changed, with the job’s id as the Message-ID', async () => {
    const user = await server.api.register();
    const change = { password: 'Another-horse-2', currentPassword: user.password };
    expect((await server.api.patch('/users/me', change, user.accessToken)).status).toBe(200);
    const mail = await mails.inbox.next(({ subject }) => subject === 'Your password was changed');
    expect(mail.envelopeTo).toEqual([user.email]);
    await settled(server);
    const jobs = await queue.list({ type: 'mail.send', state: 'completed', limit: 50 });
    expect(jobs.map(({ id }) => `<${id}@mail.example>`)).toContain(mail.messageId);
  });

  it('tries again after a 4xx, under the same Message-ID', async () => {
    let tries = 0;
    mails.recipient = () => {
      tries += 1;
      return tries < 3 ? 451 : 'take';
    };
    const id = await send('greylisted@example.com');
    await untilState(id, 'completed');
    expect((await queue.get(id)).history).toMatchObject([
      { error: expect.stringContaining('451') },
      { error: expect.stringContaining('451') },
    ]);
    const mail = await mails.inbox.next(({ envelopeTo }) => envelopeTo.includes('greylisted@example.com'));
    expect(mail.messageId).toContain(id);
  });

  it.each(['recipient', 'data'] as const)('is dead at once after a 5xx to %s', async (stage) => {
    mails[stage] = () => 550;
    const id = await send('unknown@example.com');
    await untilState(id, 'dead');
    expect(await queue.get(id)).toMatchObject({ attempts: 1, history: [{ error: expect.stringContaining('550') }] });
    await queue.discard(id);
  });

  it('tries again when the server refuses the sender, which is for the operator to mend', async () => {
    mails.sender = () => 530;
    const id = await send('later@example.com');
    await settled(server);
    expect(await queue.get(id)).toMatchObject({
      state: 'failed',
      history: [{ error: expect.stringContaining('530') }],
    });
    mails.sender = () => 'take';
    await untilState(id, 'completed');
  });

  it('tries again after the server hung up, and the mail is told by its Message-ID', async () => {
    const tries = () => mails.offered.all.filter((id) => id.includes(job)).length;
    mails.data = () => (tries() === 1 ? 'drop' : 'take');
    // Delayed, so that its id is known before it runs.
    const job = await queue.submit('mail.send', { to: 'dropped@example.com', ...NOTICE }, { delayMs: 20 });
    await untilState(job, 'completed');
    expect(tries()).toBe(2);
  });

  it('gives a server that never answers up', async () => {
    mails.data = () => 'hang';
    const transport = new SmtpTransport(mails.url, 100);
    const mail = { messageId: '<x@y>', from: 'a@example.com', to: 'b@example.com', subject: 's', text: 't', html: 'h' };
    await expect(transport.send({ ...mail, headers: {} })).rejects.toMatchObject({ name: 'Error', code: 'ETIMEDOUT' });
    transport.close();
    const nobody = new SmtpTransport('smtp://127.0.0.1:1', 100);
    await expect(nobody.send({ ...mail, headers: {} })).rejects.toMatchObject({ name: 'Error' });
    nobody.close();
  });

  it('has no mailbox to look into', async () => {
    expect((await fetch(`${server.url}/dev/mail`)).status).toBe(404);
  });
});

describe('mail without a server', () => {
  it('becomes a file that is announced in the log and readable in the browser', async () => {
    const server = await TestServer.start();
    // On PostgreSQL the folder is that of every server here.
    const to = `${randomUUID()}.reader@example.com`;
    await server.app.get(JobQueue).submit('mail.send', {
      to,
      template: 'password-changed',
      data: { at: '2026-02-16T12:00:00.000Z', ip: '<b>"203.0.113.9"</b>' },
    });
    await settled(server);
    const folder = join(server.app.get(Config).dataFolder, 'mail');
    const files = await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')));
    expect(
      files.filter((text) => text.includes('Subject: Your password was changed') && text.includes(to)),
    ).toHaveLength(1);
    const list = await fetch(`${server.url}/dev/mail`, { headers: { Origin: 'https://evil.example' } });
    expect(list.headers.get('access-control-allow-origin')).toBeNull();
    expect([list.status, list.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const row = (await list.text()).split('<tr').find((text) => text.includes(to)) ?? '';
    const link = /href="(\/dev\/mail\/[^"]+)">Your password was changed/.exec(row)?.[1] ?? '';
    const page = await (await fetch(`${server.url}${link}`)).text();
    expect(page).toContain('<h1>Your password was changed</h1>');
    expect(page).toContain(to);
    // What the mail's data holds is text in its HTML, and the mail's HTML is an attribute of the page.
    expect(page).not.toContain('<b>');
    for (const name of ['nothing', '..%2F..%2Fetc%2Fpasswd', '00000000-0000-7000-8000-000000000000']) {
      const { status, headers } = await fetch(`${server.url}/dev/mail/${name}`);
      expect([status, headers.get('content-type')]).toEqual([404, expect.stringContaining('application/json')]);
    }
    await server.close();
  });

  it('has no such pages in production', async () => {
    const secrets = { JWT_SECRET: 'x'.repeat(48), DATA_KEY: Buffer.alloc(32, 1).toString('base64') };
    const server = await TestServer.start({ NODE_ENV: 'production', ...secrets });
    expect((await fetch(`${server.url}/dev/mail`)).status).toBe(404);
    const to = `${randomUUID()}@example.com`;
    await server.app.get(JobQueue).submit('mail.send', { to, ...NOTICE });
    await settled(server);
    const folder = join(server.app.get(Config).dataFolder, 'mail');
    const mails = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
    expect(mails.filter((mail) => mail.includes(to))).toHaveLength(1);
    await server.close();
  });
});
