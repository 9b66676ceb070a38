import { startHerald, type TestHerald } from 'herald/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

describe('my-extension', () => {
  let herald: TestHerald;
  beforeAll(async () => {
    herald = await startHerald({ extensions: ['.'] });
  }, 30_000);
  afterAll(() => herald.stop());

  it('keeps what somebody adds, and says so in an event', async () => {
    const token = await herald.register();
    const added = await herald.call('POST', '/my-extension', { token, body: { name: 'First' } });
    expect(added.status).toBe(201);
    const listed = await herald.call('GET', '/my-extension', { token });
    expect(listed.body).toEqual({ data: { items: [added.body.data] } });
    const events = await herald.call('GET', '/events?type=my_extension.*', { token });
    expect(events.body.data.items[0].payload).toMatchObject({ itemId: added.body.data.id });
  });

  it('shows it to nobody else', async () => {
    const [mine, theirs] = [await herald.register(), await herald.register()];
    await herald.call('POST', '/my-extension', { token: mine, body: { name: 'Mine' } });
    expect((await herald.call('GET', '/my-extension', { token: theirs })).body.data.items).toEqual([]);
    expect((await herald.call('GET', '/my-extension')).status).toBe(401);
  });
});
