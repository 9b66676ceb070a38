import type { LookupAddress } from 'node:dns';
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Resolve } from '../../src/webhooks/name-resolver.js';
import { WebhookClient } from '../../src/webhooks/webhook-client.js';
import { Receiver } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

/** One address or more of every range that is not public (IANA special-purpose registries). */
const SPECIAL = [
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '192.0.0.1',
  '192.0.2.1',
  '192.31.196.1',
  '192.52.193.1',
  '192.88.99.1',
  '192.168.0.1',
  '192.175.48.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:a00:1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::7f00:1',
  '100::1',
  '2001::1',
  '2001:2::1',
  '2001:10::1',
  '2001:20::1',
  '2001:db8::1',
  '2002:7f00:1::1',
  '3fff::1',
  '5f00::1',
  'fc00::1',
  'fd12:3456::1',
  'fe80::1',
  'fec0::1',
  'ff02::1',
];

/** Spellings that some part of a stack reads as 127.0.0.1, or as this host. */
const ODD = [
  'http://0x7f.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://017700000001/',
  'http://0x7f000001/',
  'http://127.0.0.1./',
  'http://127.000.000.001/',
  'http://0/',
  'http://localhost/',
  'http://LOCALHOST/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[0:0:0:0:0:0:0:1]/',
  'http://[::]/',
  'http://①②⑦.⓪.⓪.①/',
  'http://127。0。0。1/',
  'http://%31%32%37.0.0.1/',
  'http://[64:ff9b::127.0.0.1]/',
];

const familyOf = (address: string): LookupAddress => ({ address, family: isIPv6(address) ? 6 : 4 });
const resolvesTo =
  (...addresses: string[]): Resolve =>
  () =>
    Promise.resolve(addresses.map(familyOf));

describe('where webhooks may go', () => {
  let receiver: Receiver;
  let port: string;
  beforeAll(async () => {
    receiver = await Receiver.start();
    port = new URL(receiver.url).port;
  });
  afterAll(() => receiver.close());

  const client = (resolve?: Resolve, allow: string[] = []) =>
    new WebhookClient({ timeoutMs: 1000, allowed: allow.map((range) => ipaddr.parseCIDR(range)) }, resolve);
  const send = (to: WebhookClient, url: string) => to.send({ url, headers: {}, body: '{}' });
  const hostOf = (address: string) => (isIPv6(address) ? `[${address}]` : address);

  it.each(SPECIAL)('not to %s, written in the URL or behind a name', async (address) => {
    const literal = await send(client(), `http://${hostOf(address)}:${port}/`);
    expect(literal).toMatchObject({ outcome: 'failed', status: null, error: expect.stringContaining('not a public') });
    const named = await send(client(resolvesTo(address)), `http://receiver.example:${port}/`);
    expect(named).toMatchObject({ outcome: 'failed', status: null, error: expect.stringContaining('not a public') });
    // A public address beside it changes nothing.
    const mixed = await send(client(resolvesTo('8.8.8.8', address)), `http://receiver.example:${port}/`);
    expect(mixed.error).toContain('not a public');
    expect(receiver.received).toEqual([]);
  });

  it.each(ODD)('not to this host in the spelling %s', async (spelling) => {
    const url = new URL(spelling);
    url.port = port;
    const result = await send(client(), url.href);
    expect(result).toMatchObject({ outcome: 'failed', status: null, error: expect.stringContaining('not a public') });
    expect(await client().refusalOf(url.href)).toContain('not a public');
    expect(receiver.received).toEqual([]);
  });

  it('not to an address that a name has only since it was checked', async () => {
    // Public when it is registered and at the check; inside by the time of the connection, and for ever after.
    const asked: string[] = [];
    const rebinding: Resolve = (hostname) => {
      asked.push(hostname);
      return Promise.resolve([familyOf(asked.length === 1 ? '8.8.8.8' : '127.0.0.1')]);
    };
    const to = client(rebinding);
    expect(await to.refusalOf('http://rebind.example/')).toBeUndefined();
    expect(await send(to, `http://rebind.example:${port}/`)).toMatchObject({
      error: expect.stringContaining('127.0.0.1 is not a public'),
    });
    expect(receiver.received).toEqual([]);
  });

  it('to the very address that was checked: it is asked for once a connection, and never again', async () => {
    const asked: string[] = [];
    const once: Resolve = (hostname) => {
      asked.push(hostname);
      return Promise.resolve([familyOf(asked.length === 1 ? '127.0.0.1' : '10.0.0.1')]);
    };
    const result = await send(client(once, ['127.0.0.0/8']), `http://pinned.example:${port}/`);
    expect(result).toMatchObject({ outcome: 'delivered', status: 204 });
    expect(asked).toEqual(['pinned.example']);
    expect(receiver.received).toHaveLength(1);
  });

  it.each([301, 302, 303, 307, 308])('nowhere else after a redirect with status %i', async (status) => {
    const before = receiver.received.length;
    receiver.answer = (_, response) => void response.writeHead(status, { Location: receiver.url }).end();
    const result = await send(client(undefined, ['127.0.0.0/8']), receiver.url);
    expect(result).toMatchObject({ outcome: 'failed', status });
    expect(receiver.received).toHaveLength(before + 1);
  });

  it('and a name server or a route that is missing here is not the endpoint’s fault', async () => {
    const failing =
      (code: string): Resolve =>
      () =>
        Promise.reject(Object.assign(new Error(code), { code }));
    for (const code of ['EAI_AGAIN', 'ETIMEOUT', 'ENETUNREACH']) {
      expect(await send(client(failing(code)), 'http://receiver.example/')).toMatchObject({ outcome: 'host' });
    }
    expect(await send(client(failing('ENOTFOUND')), 'http://receiver.example/')).toMatchObject({ outcome: 'failed' });
    const refused = await send(client(undefined, ['127.0.0.0/8']), 'http://127.0.0.1:1/');
    expect(refused).toMatchObject({ outcome: 'failed', error: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('answers of receivers', () => {
  const client = new WebhookClient({ timeoutMs: 300, allowed: [ipaddr.parseCIDR('127.0.0.0/8')] });

  it('are capped in size and time', async () => {
    const receiver = await Receiver.start((_, response) => {
      response.writeHead(200);
      // Endless, and slower than the timeout.
      const more = setInterval(() => response.write('x'.repeat(100)), 20);
      response.on('close', () => clearInterval(more));
      return undefined;
    });
    const startedAt = Date.now();
    const result = await client.send({ url: receiver.url, headers: {}, body: '{}' });
    // The status came in time, and that is what counts.
    expect(result).toMatchObject({ outcome: 'delivered', status: 200 });
    expect(result.response?.length).toBeLessThanOrEqual(1024);
    expect(Date.now() - startedAt).toBeLessThan(2000);
    receiver.answer = (_, response) => {
      response.writeHead(200);
      const flood = () => {
        while (response.writable && response.write('x'.repeat(65_536)));
        if (response.writable) response.once('drain', flood);
      };
      flood();
      return undefined;
    };
    const flooded = await client.send({ url: receiver.url, headers: {}, body: '{}' });
    expect(flooded).toMatchObject({ outcome: 'delivered', response: 'x'.repeat(1024) });
    await receiver.close();
  });

  it('that break off or never come are failures', async () => {
    const receiver = await Receiver.start((_, response) => void response.destroy());
    expect(await client.send({ url: receiver.url, headers: {}, body: '{}' })).toMatchObject({
      outcome: 'failed',
      status: null,
      error: expect.any(String),
    });
    await receiver.close();
  });
});

describe('a server that allows nothing', () => {
  it('refuses addresses inside at registration, and again when it sends', async () => {
    const receiver = await Receiver.start();
    const server = await TestServer.start({ WEBHOOK_RETRY_SCHEDULE: '0s' });
    const { accessToken } = await server.api.login(ADMIN);
    for (const url of [receiver.url, receiver.url.replace('127.0.0.1', 'localhost')]) {
      const { status, body } = await server.api.post('/webhooks', { url, events: ['*'] }, accessToken);
      expect([status, body.error.details]).toEqual([
        422,
        [{ field: 'url', code: 'URL_REFUSED', message: expect.stringContaining('WEBHOOK_ALLOW_CIDRS') }],
      ]);
    }
    expect(receiver.received).toEqual([]);
    await server.close();
    await receiver.close();
  });
});
