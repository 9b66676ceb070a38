import { Controller, Get, Header, Param } from '@nestjs/common';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { uuid } from '../common/fields.js';
import { Public } from '../common/principal.js';
import { LocalMailbox } from './local-mailbox.service.js';
import { escapeHtml } from './mail-templates.js';

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'";

/** Shows the local mailbox in development; production has no such routes. */
@Public()
@Controller('dev/mail')
export class MailboxController {
  constructor(private readonly mailbox: LocalMailbox) {}

  @Get()
  @Documented({ summary: 'List the mails of development', mediaType: 'text/html', answer: z.string() })
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', POLICY)
  async list(): Promise<string> {
    const mails = await this.mailbox.list();
    const rows = mails.map(({ name, mail }) => {
      const to = mail.to?.map(({ address }) => address).join(', ') ?? '';
      const cells = [mail.date ?? '', to, mail.subject ?? ''].map(escapeHtml);
      return `<tr><td>${cells[0]}</td><td>${cells[1]}</td><td><a href="/dev/mail/${name}">${cells[2]}</a></td></tr>`;
    });
    const none = '<tr><td colspan="3">No mail was sent yet.</td></tr>';
    const head = '<tr><th>Date</th><th>To</th><th>Subject</th></tr>';
    return page('Mails', `<table>${head}${rows.join('') || none}</table>`);
  }

  @Get(':name')
  @Documented({
    summary: 'Show a mail of development',
    mediaType: 'text/html',
    params: { name: uuid },
    answer: z.string(),
  })
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', POLICY)
  async one(@Param('name') name: string): Promise<string> {
    const found = await this.mailbox.find(name);
    if (!found) throw new AppError('NOT_FOUND', 'There is no such mail');
    const { mail } = found;
    const headers = mail.headers.map(({ key, value }) => `${key}: ${value}`).join('\n');
    // Sandboxed: a mail is data, and its links open elsewhere.
    const html = `<base target="_blank">${mail.html ?? ''}`;
    return page(
      mail.subject ?? '',
      `<p><a href="/dev/mail">All mails</a></p><pre>${escapeHtml(headers)}</pre>
<iframe sandbox="allow-popups" title="HTML" srcdoc="${escapeHtml(html)}"></iframe>
<h2>Text</h2><pre>${escapeHtml(mail.text ?? '')}</pre>`,
    );
  }
}

function page(title: string, body: string): string {
  const heading = escapeHtml(title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${heading}</title>
<style>
  :root { color-scheme: light dark; font-family: system-ui, sans-serif; }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; padding: 0.4rem 0.8rem 0.4rem 0; border-bottom: 1px solid #8884; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: 0.8rem; }
  iframe { width: 100%; height: 22rem; border: 1px solid #8884; background: #fff; }
</style>
</head>
<body>
<h1>${heading}</h1>
${body}
</body>
</html>
`;
}
