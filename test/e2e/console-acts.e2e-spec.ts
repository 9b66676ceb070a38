import type { Browser, Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startChromium } from '../support/chromium.js';
import { ConsoleBrowser } from '../support/console.js';
import { deadJob } from '../support/jobs.js';
import { Receiver } from '../support/receiver.js';
import { TestServer } from '../support/server.js';

let browser: Browser;
let server: TestServer;
let receiver: Receiver;
let view: ConsoleBrowser;

/** The row of a table. */
const row = (text: string): Locator => view.page.locator('tbody tr', { hasText: text });
const button = (name: string | RegExp, within: Locator = view.page.locator('body')): Locator =>
  within.getByRole('button', { name, exact: typeof name === 'string' });
const dialog = (): Locator => view.page.getByRole('dialog');
const toast = (text: string): Locator => view.page.locator('.toast', { hasText: text });
const fail = (email: string) => server.api.post('/auth/login', { email, password: 'wrong' });

describe('what admins do in the console', () => {
  beforeAll(async () => {
    browser = await startChromium();
    receiver = await Receiver.start();
    server = await TestServer.start({ WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await receiver?.close();
  });
  beforeEach(async () => {
    view = await ConsoleBrowser.open(browser, server);
  });
  afterEach(async () => {
    expect(view.complaints).toEqual({ external: [], errors: [] });
    await view.close();
  });

  it('redrives the dead jobs of a type', async () => {
    await deadJob(server);
    await view.logIn();
    await view.page.getByText('dead job of auth.forgot-password').click();
    await row('auth.forgot-password').getByText('dead').waitFor();
    await button('Redrive 1 dead').click();
    await toast('1 job runs again').waitFor();
    await view.page.getByText('No dead job').waitFor();
    await view.page.getByRole('link', { name: /^completed/ }).click();
    await row('auth.forgot-password').getByText('completed').first().waitFor();
  });

  it('retries one dead job, and asks before it discards another', async () => {
    const [first, second] = [await deadJob(server), await deadJob(server)];
    await view.logIn();
    await view.go('/jobs?status=dead');
    await button('Retry', view.page.locator(`[data-id="${first}"]`)).click();
    await view.page.locator(`[data-id="${first}"]`).waitFor({ state: 'detached' });
    await button('Discard', view.page.locator(`[data-id="${second}"]`)).click();
    await dialog().getByText('This cannot be taken back').waitFor();
    await button('Cancel', dialog()).click();
    await button('Discard', view.page.locator(`[data-id="${second}"]`)).click();
    await button('Discard', dialog()).click();
    await toast('The job is gone').waitFor();
    await view.page.getByText('No dead job').waitFor();
  });

  it('adds a webhook, shows its secret once, and shows what is sent to it', async () => {
    receiver.answer = (_, response) => void response.writeHead(200).end('thank you');
    await view.logIn();
    await view.go('/webhooks');
    await button('Add an endpoint').click();
    await dialog().getByLabel('Address').fill(receiver.url);
    await dialog().getByLabel('Events').fill('login.failed');
    await button('Add', dialog()).click();
    await dialog()
      .getByText(/^whsec_/)
      .waitFor();
    const secret = await dialog()
      .getByText(/^whsec_/)
      .textContent();
    await button('I have it', dialog()).click();
    await view.page.getByRole('heading', { name: 'Endpoint' }).waitFor();
    expect(await view.page.content()).not.toContain(secret ?? 'no secret');
    await button('Send a test').click();
    await row('webhook.test').getByText('delivered').waitFor();
    await fail('sent@example.com');
    await row('login.failed').getByText('delivered').waitFor();
    await button('login.failed').click();
    await dialog().getByLabel('Body of the request').getByText('sent@example.com').waitFor();
    await dialog().getByLabel('Answer to attempt 1').getByText('thank you').waitFor();
    await button('Redeliver', dialog()).click();
    await dialog().getByLabel('Answer to attempt 2').waitFor();
    await button('Close', dialog()).click();
    await button('Rotate the secret').click();
    await button('Rotate', dialog()).click();
    await dialog().getByText('signs as well until').waitFor();
    await button('I have it', dialog()).click();
    await button('Disable').click();
    await button('Disable', dialog()).click();
    await view.page.getByText('Disabled by an admin').waitFor();
    await button('Enable again').click();
    await view.page.locator('.facts').getByText('enabled').waitFor();
    await button('Delete').click();
    await button('Delete', dialog()).click();
    await view.page.getByRole('heading', { name: 'Webhooks' }).waitFor();
    await view.page.getByText('No endpoint yet').waitFor();
  });

  it('says which event name is wrong, and keeps what was typed', async () => {
    await view.logIn();
    await view.go('/webhooks?new=1');
    await dialog().getByLabel('Address').fill(receiver.url);
    await dialog().getByLabel('Events').fill('login.nothing');
    await button('Add', dialog()).click();
    await toast('login.nothing')
      .getByText(/Request /)
      .waitFor();
    expect(await dialog().getByLabel('Address').inputValue()).toBe(receiver.url);
  });

  it('closes a connection', async () => {
    const user = await server.api.register();
    const client = await server.subscriber(user.accessToken);
    await view.logIn();
    await view.go('/connections');
    await button('Close', row(user.email)).click();
    await button('Close it', dialog()).click();
    await row(user.email).waitFor({ state: 'detached' });
    expect(await client.closed).toMatchObject({ code: 4403 });
  });

  it('bans an account with a reason, and lets it in again', async () => {
    const user = await server.api.register();
    await view.logIn();
    await view.go('/users');
    await view.page.getByLabel('Search').fill(user.email);
    await row(user.email).waitFor();
    await row(user.email).getByRole('link').click();
    await view.page.getByRole('table', { name: /Open sessions/ }).waitFor();
    await button('Ban').click();
    expect(await button('Ban', dialog()).isDisabled()).toBe(true);
    await dialog().getByLabel('Reason').fill('Sent spam');
    await button('Ban', dialog()).click();
    await view.page.locator('.facts').getByText('Sent spam').waitFor();
    await view.page.getByText('Not logged in anywhere').waitFor();
    expect((await server.api.get('/users/me', user.accessToken)).status).toBe(401);
    await button('Unban').click();
    await view.page.locator('.facts').getByText('active').waitFor();
  });

  it('unlocks an account from the overview', async () => {
    const user = await server.api.register();
    for (let n = 0; n < 5; n += 1) await fail(user.email);
    await view.logIn();
    await view.page.getByText(`${user.email} is locked`).click();
    await row(user.email).getByRole('link').click();
    await button('Unlock').click();
    await toast('The lock is gone').waitFor();
    expect((await server.api.post('/auth/login', user)).status).not.toBe(403);
  });

  it('verifies the chain of the audit trail', async () => {
    await view.logIn();
    await view.go('/audit?type=login.success');
    await row('success').first().waitFor();
    await button('Verify the chain').click();
    await view.page.getByText(/The chain holds: \d+ rows/).waitFor();
  });
});
