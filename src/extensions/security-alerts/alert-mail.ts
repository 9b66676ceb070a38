import type { MailContent } from '../../extension-api.js';
import type { Alert } from './alert.events.js';

/** What the mail of an alert tells beside it. */
export interface AlertMail extends Alert {
  /** ISO 8601, UTC. */
  at: string;
  windowMinutes: number;
}

declare module '../../extension-api.js' {
  interface ExtensionMails {
    'security-alert': AlertMail;
  }
}

/** The mail that tells an admin of an alert. */
export function alertMail({ kind, email, ip, failures, at, windowMinutes }: AlertMail): MailContent {
  const time = `Time: ${at.slice(0, 10)} ${at.slice(11, 19)} UTC.`;
  if (kind === 'admin_locked') {
    return {
      subject: `Security alert: the admin ${email} was locked`,
      paragraphs: [
        `The account of the admin ${email} was locked, because too many logins in a row failed.`,
        time,
        'If that was not its owner, somebody is guessing the password: look at who tries in the audit trail, and see that the account has a second factor.',
      ],
    };
  }
  const where = email === null ? (ip === null ? 'of all addresses together' : `from ${ip}`) : `of ${email}`;
  return {
    subject: `Security alert: ${failures} failed logins ${where}`,
    paragraphs: [
      `${failures} logins ${where} have failed within ${windowMinutes} minutes.`,
      time,
      'Somebody may be guessing passwords: the audit trail says from where.',
    ],
  };
}
