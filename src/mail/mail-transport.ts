import { createTransport } from 'nodemailer';
import { UnrecoverableJobError } from '../jobs/job-types.js';

/** A mail on its way out. */
export interface OutgoingMail {
  messageId: string;
  from: string;
  to: string;
  subject: string;
  text: string;
  html: string;
  /** RFC 3834 §5: no machine answers, and no out-of-office either. */
  headers: Record<string, string>;
}

/** Hands mails over. */
export abstract class MailTransport {
  /**
   * Hands one mail over, which is all that can be known of it.
   *
   * @throws UnrecoverableJobError when this mail will never be taken; any other error is worth another try.
   */
  abstract send(mail: OutgoingMail): Promise<void>;

  /** Closes what it keeps open. */
  abstract close(): void;
}

/** The commands whose refusal says something about this mail. */
const ABOUT_THE_MAIL = new Set(['RCPT TO', 'DATA', 'BDAT']);
const CONNECT_TIMEOUT_MS = 10_000;

/** Hands mails to a server over a few kept connections (RFC 5321), with TLS as the URL says. */
export class SmtpTransport extends MailTransport {
  private readonly transporter;

  /**
   * @param url - `smtp://` or `smtps://`; its query sets any option of nodemailer, such as `requireTLS=true`.
   * @param socketTimeoutMs - how long the server may be silent.
   */
  constructor(url: string, socketTimeoutMs: number) {
    super();
    this.transporter = createTransport({
      pool: true,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      greetingTimeout: socketTimeoutMs,
      socketTimeout: socketTimeoutMs,
      url,
    });
  }

  async send(mail: OutgoingMail): Promise<void> {
    try {
      await this.transporter.sendMail(mail);
    } catch (error) {
      const { message, responseCode = 0, command = '' } = error as Error & { responseCode?: number; command?: string };
      // A 5xx about the recipient or the mail is final (RFC 5321 §4.2.1). One about us, at the greeting, the login or
      // the sender, is for the operator to mend.
      const final = responseCode >= 500 && ABOUT_THE_MAIL.has(command);
      throw final ? new UnrecoverableJobError(message, { cause: error }) : error;
    }
  }

  close(): void {
    this.transporter.close();
  }
}
