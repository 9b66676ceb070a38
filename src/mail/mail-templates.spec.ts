import { describe, expect, it } from 'vitest';
import { render } from './mail-templates.js';

const tools = {
  publicUrl: 'https://herald.example',
  open: ({ sealedToken }: { sealedToken: string }) => `open-${sealedToken}`,
};

describe('render', () => {
  it('says the same in text and HTML', () => {
    const data = { at: '2026-02-16T12:00:00.000Z', ip: '203.0.113.9' };
    const mail = render({ template: 'account-locked', data }, tools);
    expect(mail.subject).toBe('Your account was locked');
    expect(mail.text).toContain('Time: 2026-02-16 12:00:00 UTC. Address: 203.0.113.9.');
    expect(mail.html).toContain('<p>Time: 2026-02-16 12:00:00 UTC. Address: 203.0.113.9.</p>');
    expect(render({ template: 'password-changed', data: { ...data, ip: null } }, tools).text).not.toContain('Address');
  });

  it('lets no data become HTML', () => {
    const data = { at: '2026-02-16T12:00:00.000Z', ip: `<img src=x onerror="a('b')">&` };
    const { html, text } = render({ template: 'password-changed', data }, tools);
    expect(html).toContain('&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;');
    expect(html).not.toContain('<img');
    expect(text).toContain('<img src=x');
  });

  it('opens a token only here, and puts it behind the #', () => {
    const data = { sealedToken: 'x"y', owner: 'u' };
    const { html, text } = render({ template: 'reset-password', data }, tools);
    expect(text).toContain('Choose a new password: https://herald.example/reset-password#token=open-x"y');
    expect(html).toContain(
      '<a href="https://herald.example/reset-password#token=open-x&quot;y">Choose a new password</a>',
    );
  });
});
