import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.close());

describe('the page of the documentation', () => {
  it('loads only files of its own, under a policy without inline scripts and styles', async () => {
    const response = await fetch(`${server.url}/docs/html`);
    const policy = response.headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).not.toContain('unsafe');
    const page = await response.text();
    expect(page).not.toMatch(/<script>|<style|style=|https?:/);
    const files = [...page.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path ?? '');
    expect(files.map((path) => path.split('/').at(-1))).toEqual(['swagger-ui.css', 'swagger-ui-bundle.js', 'start.js']);
    for (const path of files) {
      const file = await fetch(`${server.url}${path}`);
      expect(file.status, path).toBe(200);
      expect(file.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect(file.headers.get('content-type')).toMatch(path.endsWith('.css') ? /^text\/css/ : /^text\/javascript/);
      expect((await file.text()).length).toBeGreaterThan(50);
    }
  });

  it('serves no other file, and none of another version, and lets nobody keep that answer', async () => {
    const page = await (await fetch(`${server.url}/docs/html`)).text();
    const [folder = ''] = /\/docs\/html\/\w+/.exec(page) ?? [];
    const others = ['package.json', 'swagger-ui.js', '..%2fpackage.json', '%2e%2e%2fpackage.json', '__proto__'];
    for (const path of [...others.map((name) => `${folder}/${name}`), '/docs/html/0000000000000000/start.js']) {
      const response = await fetch(`${server.url}${path}`);
      expect(response.status, path).toBe(404);
      expect(response.headers.get('cache-control'), path).toBe('no-store');
    }
  });

  it('is limited as the API is: its files are large', async () => {
    await server.restart({ RATE_LIMIT_MAX: '1' });
    expect((await fetch(`${server.url}/docs/html`)).status).toBe(200);
    expect((await fetch(`${server.url}/docs`)).status).toBe(429);
  });
});
