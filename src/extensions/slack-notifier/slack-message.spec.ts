import { describe, expect, it } from 'vitest';
import type { EventEnvelope } from '../../extension-api.js';
import { escapeSlack, toSlackMessage } from './slack-message.js';

const event = (payload: object) =>
  ({
    id: 'evt-1',
    type: 'user.updated',
    timestamp: '2026-02-16T12:00:00.000Z',
    payload,
  }) as unknown as EventEnvelope;

describe('toSlackMessage', () => {
  it('says the same as text and as blocks', () => {
    expect(toSlackMessage(event({ userId: 'u', fields: ['email'] }))).toEqual({
      text: 'user.updated, userId: u, fields: ["email"]',
      blocks: [
        {
          type: 'section',
          text: { type: 'mrkdwn', text: '*user.updated*\nuserId: u\nfields: ["email"]', verbatim: true },
        },
        {
          type: 'context',
          elements: [{ type: 'mrkdwn', text: '2026-02-16T12:00:00.000Z · evt-1', verbatim: true }],
        },
      ],
    });
  });

  it('leaves out what is null', () => {
    expect(toSlackMessage(event({ email: null, ip: '192.0.2.1' })).text).toBe('user.updated, ip: 192.0.2.1');
  });

  it('lets no payload mention a channel, make a link or look like an entity', () => {
    const message = JSON.stringify(toSlackMessage(event({ email: '<!channel> <https://evil.example|click> &lt;' })));
    expect(message).not.toMatch(/[<>]/);
    expect(message).toContain('&lt;!channel&gt; &lt;https://evil.example|click&gt; &amp;lt;');
    expect(escapeSlack('a & b < c > d')).toBe('a &amp; b &lt; c &gt; d');
  });

  it('keeps to the length that Slack takes, and cuts no entity in two', () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`field${index}`, '<'.repeat(400)]));
    const { text, blocks } = toSlackMessage(event(many));
    const section = (blocks[0] as { text: { text: string } }).text.text;
    for (const part of [text, section]) {
      expect(part.length).toBeLessThanOrEqual(3000);
      expect(part.replaceAll('&lt;', '')).not.toContain('&');
    }
    expect(section.endsWith('\n…')).toBe(true);
  });

  it('shows the beginning of a value that is too long', () => {
    const { text } = toSlackMessage(event({ note: 'x'.repeat(501) }));
    expect(text).toBe(`user.updated, note: ${'x'.repeat(500)}…`);
  });
});
