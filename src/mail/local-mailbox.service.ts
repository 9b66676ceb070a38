import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable, Logger } from '@nestjs/common';
import { createTransport } from 'nodemailer';
import PostalMime, { type Email } from 'postal-mime';
import { Config } from '../config/config.js';
import { PublicUrl } from './public-url.service.js';
import { MailTransport, type OutgoingMail } from './mail-transport.js';

const NAME = /^[0-9a-f-]{36}$/;
/** The most mails that are listed. */
const MAX_LISTED = 200;

/** A mail in the box. */
export interface StoredMail {
  name: string;
  mail: Email;
}

/** Without a mail server: keeps every mail as a file, `<name>.eml` (RFC 5322), under `mail/` beside the database. */
@Injectable()
export class LocalMailbox extends MailTransport {
  private readonly logger = new Logger(LocalMailbox.name);
  private readonly folder: string;
  private readonly composer = createTransport({ streamTransport: true, buffer: true });

  constructor(
    private readonly config: Config,
    private readonly publicUrl: PublicUrl,
  ) {
    super();
    this.folder = join(config.dataFolder, 'mail');
  }

  async send(mail: OutgoingMail): Promise<void> {
    const { message } = await this.composer.sendMail(mail);
    const name = mail.messageId.slice(1).split('@')[0] ?? '';
    await mkdir(this.folder, { recursive: true });
    const file = join(this.folder, `${name}.eml`);
    // Renamed into place: whoever reads the folder sees whole mails only, and a repeat replaces the first.
    await writeFile(`${file}.new`, message as Buffer);
    await rename(`${file}.new`, file);
    const place = this.config.isProduction ? file : `${this.publicUrl.get()}/dev/mail/${name}`;
    this.logger.log(`mail "${mail.subject}": ${place}`);
  }

  close(): void {
    // Nothing is kept open.
  }

  /** Returns the mails in the box, the newest first. */
  async list(): Promise<StoredMail[]> {
    await mkdir(this.folder, { recursive: true });
    const files = (await readdir(this.folder)).filter((file) => file.endsWith('.eml'));
    const names = files.map((file) => file.slice(0, -'.eml'.length)).toSorted((a, b) => (a < b ? 1 : -1));
    const mails = await Promise.all(names.slice(0, MAX_LISTED).map((name) => this.find(name)));
    return mails.filter((mail) => mail !== undefined);
  }

  /** Returns one mail, or undefined. */
  async find(name: string): Promise<StoredMail | undefined> {
    if (!NAME.test(name)) return undefined;
    try {
      return { name, mail: await PostalMime.parse(await readFile(join(this.folder, `${name}.eml`))) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
