import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { Inbox } from './inbox.js';
import { recordSecretsIn } from './recorder.js';

/** A mail that the server took. */
export interface ReceivedMail extends Email {
  envelopeTo: string[];
  raw: string;
}

/** What the server does with a mail: takes it, answers a code, never answers, or hangs up. */
export type Verdict = 'take' | 'hang' | 'drop' | number;

/** A real SMTP server in this process, which does what a test says. */
export class MailServer {
  readonly inbox = new Inbox<ReceivedMail>();
  /** Every mail that was offered, taken or not: its Message-ID. */
  readonly offered = new Inbox<string>();
  /** Asked for the sender, for each recipient, and once the mail is complete. */
  sender: () => Verdict = () => 'take';
  recipient: (address: string) => Verdict = () => 'take';
  data: (mail: ReceivedMail) => Verdict = () => 'take';
  private readonly server: SMTPServer;

  private constructor() {
    this.server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onMailFrom: (_, session, callback) => this.decide(this.sender(), session, callback),
      onRcptTo: ({ address }, session, callback) => this.decide(this.recipient(address), session, callback),
      onData: (stream, session, callback) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const raw = Buffer.concat(chunks).toString();
          const envelopeTo = session.envelope.rcptTo.map(({ address }) => address);
          void PostalMime.parse(raw).then((mail) => {
            recordSecretsIn(mail.text ?? '');
            const received = { ...mail, envelopeTo, raw };
            this.offered.push(mail.messageId ?? '');
            const verdict = this.data(received);
            if (verdict === 'take') this.inbox.push(received);
            this.decide(verdict, session, callback);
          });
        });
      },
    });
    // A client that hangs up, because a test made it wait, is no news.
    this.server.on('error', () => undefined);
  }

  static async start(): Promise<MailServer> {
    const made = new MailServer();
    made.server.listen(0, '127.0.0.1');
    await once(made.server.server, 'listening');
    return made;
  }

  get url(): string {
    return `smtp://127.0.0.1:${(this.server.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private decide(verdict: Verdict, session: { id: string }, callback: (error?: Error | null) => void): void {
    if (verdict === 'take') callback();
    else if (verdict === 'drop') {
      const connections = (this.server as unknown as { connections: Set<{ id: string; _socket: { destroy(): void } }> })
        .connections;
      for (const connection of connections) if (connection.id === session.id) connection._socket.destroy();
    } else if (verdict !== 'hang') callback(Object.assign(new Error('refused by the test'), { responseCode: verdict }));
  }
}
