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
      const { message, responseCode, code } = error as Error & { responseCode?: number; code?: string };
      // A 5xx about the mail is final (RFC 5321 §4.2.1); one about our login is for the operator to mend.
      const final = responseCode !== undefined && responseCode >= 500 && code !== 'EAUTH';
      throw final ? new UnrecoverableJobError(message, { cause: error }) : error;
    }
  }

  close(): void {
    this.transporter.close();
  }
}
