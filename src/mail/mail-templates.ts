import { declareIn } from '../common/declare.js';

/** What a mail says: rendered as text and as HTML from the same words. */
export interface MailContent {
  subject: string;
  paragraphs: string[];
  /** A page to open, with a token that belongs in no log: behind the `#`, browsers keep it to themselves. */
  link?: { label: string; url: string };
}

/** A token that is sealed until the mail is made. */
interface SealedToken {
  sealedToken: string;
  owner: string;
}

/** What templates need beside their data. */
export interface TemplateTools {
  /** Where people reach this service, without a slash at its end. */
  publicUrl: string;
  /** Opens a sealed token. */
  open: (sealed: SealedToken) => string;
}

/** Facts about an event that a notice tells. */
interface Occurrence {
  /** ISO 8601, UTC. */
  at: string;
  ip: string | null;
}

/** Every mail that Herald sends; the one place to change its words. */
const templates = {
  'account-locked': (data: Occurrence): MailContent => ({
    subject: 'Your account was locked',
    paragraphs: [
      'Your account was locked for a while, because too many logins in a row failed.',
      occurrence(data),
      'If that was you, wait and try again. If it was not, somebody may be guessing your password: no one got in, and a long password that you use nowhere else keeps it so.',
    ],
  }),
  'password-changed': (data: Occurrence): MailContent => ({
    subject: 'Your password was changed',
    paragraphs: [
      'The password of your account was changed, and every other session was ended.',
      occurrence(data),
      'If that was not you, somebody else has your account: reset the password at once, and tell whoever runs this service.',
    ],
  }),
  'password-reset': (data: Occurrence): MailContent => ({
    subject: 'Your password was reset',
    paragraphs: [
      'The password of your account was set anew through a mail to this address, and every session was ended.',
      occurrence(data),
      'If that was not you, somebody else reads your mail: change the password of your mailbox first.',
    ],
  }),
  'email-changed': (data: Occurrence): MailContent => ({
    subject: 'The address of your account was changed',
    paragraphs: [
      'Your account has another email address from now on, and this one gets no more mail.',
      occurrence(data),
      'If that was not you, somebody else has your account: tell whoever runs this service.',
    ],
  }),
  'verify-email': (data: SealedToken, { publicUrl, open }: TemplateTools): MailContent => ({
    subject: 'Verify your email address',
    paragraphs: [
      'Somebody made an account with this address, or changed it to this one. If that was you, confirm it within a day.',
    ],
    link: { label: 'Verify the address', url: `${publicUrl}/verify-email#token=${open(data)}` },
  }),
  'reset-password': (data: SealedToken, { publicUrl, open }: TemplateTools): MailContent => ({
    subject: 'Reset your password',
    paragraphs: [
      'Somebody asked for a new password for your account. If that was you, choose one within an hour; if not, do nothing.',
    ],
    link: { label: 'Choose a new password', url: `${publicUrl}/reset-password#token=${open(data)}` },
  }),
} satisfies Record<string, (data: never, tools: TemplateTools) => MailContent>;

type OwnTemplates = { [T in keyof typeof templates]: Parameters<(typeof templates)[T]>[0] };

/** The mail templates of extensions, by declaration merging: name to data. */
// Empty on purpose: this room knows no extension.
// oxlint-disable-next-line typescript/no-empty-object-type
export interface ExtensionMails {}

type Templates = OwnTemplates & ExtensionMails;

/** A template and the data it takes, which must be plain JSON. */
export type TemplateUse = { [T in keyof Templates]: { template: T; data: Templates[T] } }[keyof Templates];

// Here, so that whoever knows the templates, extensions too, may submit the job.
declare module '../jobs/job-types.js' {
  interface JobTypes {
    'mail.send': { to: string } & TemplateUse;
  }
}

/** Says what a mail holds. */
export type MailTemplate<D> = (data: D, tools: TemplateTools) => MailContent;

/** Herald's own, then those of extensions. */
const all = new Map<string, MailTemplate<never>>(Object.entries(templates));

/** Adds templates to those of this process. @throws TypeError for a name that is taken by another template. */
export function declareMails(more: Readonly<Record<string, MailTemplate<never>>>): void {
  declareIn(all, 'a mail template', more);
}

/** A mail as it is read. */
export interface RenderedMail {
  subject: string;
  text: string;
  html: string;
}

/** Renders a template; whatever the data holds is text, in HTML too. */
export function render({ template, data }: TemplateUse, tools: TemplateTools): RenderedMail {
  const make = all.get(template) as MailTemplate<TemplateUse['data']> | undefined;
  if (!make) throw new TypeError(`There is no mail template "${template}"`);
  const { subject, paragraphs, link } = make(data, tools);
  const anchor = link && `<a href="${escapeHtml(link.url)}">${escapeHtml(link.label)}</a>`;
  const body = [...paragraphs.map(escapeHtml), ...(anchor ? [anchor] : [])].map((html) => `<p>${html}</p>`).join('\n');
  const text = [...paragraphs, ...(link ? [`${link.label}: ${link.url}`] : [])].join('\n\n');
  return {
    subject,
    text: `${text}\n`,
    html: `<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>\n<body>\n${body}\n</body>\n</html>\n`,
  };
}

function occurrence({ at, ip }: Occurrence): string {
  const time = `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
  return ip === null ? `Time: ${time}.` : `Time: ${time}. Address: ${ip}.`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Makes text safe between HTML tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
