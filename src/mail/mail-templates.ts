/** What a mail says: rendered as text and as HTML from the same words. */
interface Content {
  subject: string;
  paragraphs: string[];
}

/** Facts about an event that a notice tells. */
interface Occurrence {
  /** ISO 8601, UTC. */
  at: string;
  ip: string | null;
}

/** Every mail that Herald sends; the one place to change its words. */
const templates = {
  'account-locked': (data: Occurrence): Content => ({
    subject: 'Your account was locked',
    paragraphs: [
      'Your account was locked for a while, because too many logins in a row failed.',
      occurrence(data),
      'If that was you, wait and try again. If it was not, somebody may be guessing your password: no one got in, and a long password that you use nowhere else keeps it so.',
    ],
  }),
  'password-changed': (data: Occurrence): Content => ({
    subject: 'Your password was changed',
    paragraphs: [
      'The password of your account was changed, and every other session was ended.',
      occurrence(data),
      'If that was not you, somebody else has your account: reset the password at once, and tell whoever runs this service.',
    ],
  }),
} satisfies Record<string, (data: never) => Content>;

type Templates = typeof templates;

/** The name of a template. */
export type TemplateName = keyof Templates;

/** A template and the data it takes. */
export type TemplateUse = { [T in TemplateName]: { template: T; data: Parameters<Templates[T]>[0] } }[TemplateName];

/** A mail as it is read. */
export interface RenderedMail {
  subject: string;
  text: string;
  html: string;
}

/** Renders a template; whatever the data holds is text, in HTML too. */
export function render({ template, data }: TemplateUse): RenderedMail {
  const { subject, paragraphs } = templates[template](data);
  const body = paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join('\n');
  return {
    subject,
    text: `${paragraphs.join('\n\n')}\n`,
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
