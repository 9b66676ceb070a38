import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';

let server: TestServer;

describe('the files of the console', () => {
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.close());

  /** Asks for a path as it stands: `fetch` would tidy it up. */
  function raw(path: string, headers: Record<string, string> = {}) {
    return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
      const { hostname, port } = new URL(server.url);
      request({ hostname, port, path, headers }, (response) => {
        let body = '';
        response.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      })
        .on('error', reject)
        .end();
    });
  }

  it('is less than 300 KB compressed', () => {
    const files = readdirSync('dist/console', { recursive: true, encoding: 'utf8', withFileTypes: true });
    const sizes = files
      .filter((file) => file.isFile())
      .map((file) => gzipSync(readFileSync(join(file.parentPath, file.name))).length);
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(300 * 1024);
  });

  it.each(['/console', '/console/', '/console/events?type=login.*', '/console/users/some-id'])(
    '%s is the page, with its policy, and asked for again each time',
    async (path) => {
      const { status, headers, body } = await raw(path);
      expect(status).toBe(200);
      expect(body).toContain('<div id="app">');
      expect(body).not.toMatch(/<script>|<style>| on\w+=| style=/);
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(String(headers['content-security-policy'])).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
          "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
      );
      const again = await raw(path, { 'If-None-Match': String(headers['etag']) });
      expect([again.status, again.body]).toEqual([304, '']);
    },
  );

  it('what has a hash in its name may be kept for ever, and travels compressed', async () => {
    const { body: page } = await raw('/console');
    const [, path = ''] = /src="([^"]+\.js)"/.exec(page) ?? [];
    const plain = await raw(path);
    expect(plain.headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'text/javascript; charset=utf-8',
      vary: 'Accept-Encoding',
    });
    const small = await raw(path, { 'Accept-Encoding': 'gzip, br' });
    expect(small.headers['content-encoding']).toBe('gzip');
    expect(small.body.length).toBeLessThan(plain.body.length / 2);
  });

  it.each([
    '/console/assets/none.js',
    '/console/assets/../../../package.json',
    '/console/assets/%2e%2e/%2e%2e/%2e%2e/package.json',
    '/console/assets/..%2f..%2fpackage.json',
    '/console/assets//etc/passwd',
  ])('%s is no file', async (path) => {
    const { status, body } = await raw(path);
    expect(status).toBe(404);
    expect(JSON.parse(body).error.code).toBe('NOT_FOUND');
  });

  it.each(['/console/../package.json', '/console/%2e%2e/package.json', '/console/..%5cpackage.json'])(
    '%s leads to nothing but the page',
    async (path) => expect((await raw(path)).body).not.toContain('"dependencies"'),
  );
});
