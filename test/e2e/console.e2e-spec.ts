import type { Browser, Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { turnOnMfa } from '../support/accounts.js';
import { startChromium } from '../support/chromium.js';
import { ConsoleBrowser } from '../support/console.js';
import { ADMIN, TestServer } from '../support/server.js';

const WITHIN_A_SECOND = { timeout: 1000 };

let browser: Browser;
let server: TestServer;
let view: ConsoleBrowser;

/** The line of an event in the stream. */
const eventLine = (text: string): Locator => view.page.locator('.event-line', { hasText: text });
const button = (name: string | RegExp, within: Locator = view.page.locator('body')): Locator =>
  within.getByRole('button', { name, exact: typeof name === 'string' });
const dialog = (): Locator => view.page.getByRole('dialog');
const fail = (email: string) => server.api.post('/auth/login', { email, password: 'wrong' });
const asAdmin = async () => (await server.api.login(ADMIN)).accessToken;

describe('the console', () => {
  beforeAll(async () => {
    browser = await startChromium();
    server = await TestServer.start();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  beforeEach(async () => {
    view = await ConsoleBrowser.open(browser, server);
  });
  afterEach(async () => {
    expect(view.complaints).toEqual({ external: [], errors: [] });
    await view.close();
  });

  it('says what is wrong with a login, and asks for nothing but what is there', async () => {
    await view.go();
    await view.page.getByLabel('Email address').fill(ADMIN.email);
    await view.page.getByLabel('Password').fill('wrong');
    await button('Log in').click();
    await view.page.getByRole('alert').getByText('The email address or the password is wrong').waitFor();
  });

  it('keeps out who is no admin, and ends the session', async () => {
    const user = await server.api.register();
    await view.go();
    await view.page.getByLabel('Email address').fill(user.email);
    await view.page.getByLabel('Password').fill(user.password);
    await button('Log in').click();
    await view.page.getByRole('alert').getByText('This account is not an admin').waitFor();
    const sessions = await server.api.get(`/admin/users/${user.id}/sessions`, await asAdmin());
    // The one of the registration is left.
    expect(sessions.body.data.sessions).toHaveLength(1);
  });

  it('logs in with a second factor, goes on after a reload, and logs out', async () => {
    const admin = await server.api.register();
    await server.api.patch(`/admin/users/${admin.id}/role`, { role: 'admin' }, await asAdmin());
    const { recoveryCodes } = await turnOnMfa(server, admin);
    await view.go();
    await view.page.getByLabel('Email address').fill(admin.email);
    await view.page.getByLabel('Password').fill(admin.password);
    await button('Log in').click();
    const code = view.page.getByLabel('Code of your app');
    await code.fill('000000');
    await button('Verify').click();
    await view.page.getByRole('alert').getByText('The code is wrong').waitFor();
    await code.fill(recoveryCodes[0] ?? '');
    await button('Verify').click();
    await view.live();
    await view.page.getByRole('heading', { name: 'Overview' }).waitFor();
    // Nothing that a script could steal stays in the browser.
    expect(await view.page.evaluate('JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie')).toBe(
      '{}',
    );
    await view.page.reload();
    await view.live();
    await button('Log out').filter({ visible: true }).click();
    await view.page.getByRole('heading', { name: 'Log in to Herald' }).waitFor();
    await view.page.reload();
    await view.page.getByRole('heading', { name: 'Log in to Herald' }).waitFor();
  });

  it('shows an event that came over REST within a second, without a reload, and its trace', async () => {
    await view.logIn();
    await view.page.getByRole('link', { name: 'Events' }).first().click();
    await view.page.locator('.event-line').first().waitFor();
    await fail('watched@example.com');
    await eventLine('watched@example.com').waitFor(WITHIN_A_SECOND);
    for (let n = 0; n < 4; n += 1) await fail('watched@example.com');
    await eventLine('account.locked').first().waitFor(WITHIN_A_SECOND);
    await eventLine('account.locked').first().click();
    await dialog().getByText('Request from 127.0.0.1').waitFor();
    await dialog().getByText('reader.security-notices').waitFor();
    await dialog().locator('.step', { hasText: 'reader.security-notices' }).getByText('completed').waitFor();
    // Whoever is sent this address sees the same.
    await view.page.reload();
    await dialog().getByText('Request from 127.0.0.1').waitFor();
    await view.page.keyboard.press('Escape');
    await dialog().waitFor({ state: 'detached' });
    expect(new URL(view.page.url()).search).toBe('');
  });

  it('holds the stream still while it is paused, and tells how much waits', async () => {
    await view.logIn();
    await view.go('/events?type=login.failed');
    await view.live();
    await button('Pause').click();
    for (let n = 0; n < 3; n += 1) await fail(`paused-${n}@example.com`);
    await button(/3 waiting/).waitFor();
    expect(await eventLine('paused-').count()).toBe(0);
    await button(/Go on/).click();
    await eventLine('paused-2').waitFor();
    expect(await eventLine('paused-').count()).toBe(3);
  });

  it('narrows the stream down by type and by text, in the address too', async () => {
    await fail('needle@example.com');
    await view.logIn();
    await view.go('/events');
    await view.live();
    await view.page.getByLabel('Type').selectOption('login.*');
    await view.page.getByLabel('Search in what is shown').fill('needle@');
    await eventLine('needle@example.com').waitFor();
    await view.page.waitForURL(/\?type=login\.\*&q=needle%40$/);
    expect(await view.page.locator('.event-line').count()).toBe(1);
  });

  it('is used with the keyboard alone, and dialogs keep the focus', async () => {
    await view.logIn();
    await view.go('/webhooks');
    await view.live();
    await view.page.keyboard.press('Tab');
    await view.page.getByRole('link', { name: 'Skip to the page' }).and(view.page.locator(':focus')).waitFor();
    await view.page.keyboard.press('Enter');
    await view.page.keyboard.press('Tab');
    await button('Add an endpoint').and(view.page.locator(':focus')).waitFor();
    await view.page.keyboard.press('Enter');
    await dialog().getByLabel('Address').and(view.page.locator(':focus')).waitFor();
    for (let n = 0; n < 12; n += 1) {
      await view.page.keyboard.press('Tab');
      expect(
        await view.page.evaluate(
          "document.activeElement === document.body || !!document.activeElement.closest('dialog')",
        ),
      ).toBe(true);
    }
    await view.page.keyboard.press('Escape');
    await dialog().waitFor({ state: 'detached' });
    await button('Add an endpoint').and(view.page.locator(':focus')).waitFor();
  });

  it('remembers the theme', async () => {
    await view.logIn();
    await button('Dark theme').filter({ visible: true }).click();
    await view.page.reload();
    await view.live();
    expect(await view.page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
  });
});
