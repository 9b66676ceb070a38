/** The width of the window through which a log is looked at; no shorter secret is looked for. */
const WIDTH = 8;
const SLOTS = 2 ** 20;

/** What no line may hold, whoever's it is: a token, a password's hash, and a code in a field of its own. */
const NEVER = [/eyJ[\w-]{10,}\.[\w-]{10,}/, /\$argon2/, /"code":"\d{6}"/];

/** A line of a log that holds a secret. */
export interface Leak {
  /** The line, the secret masked. */
  line: string;
}

/**
 * Looks for every secret in every line, in one pass: each window of eight characters is looked up among those that
 * secrets begin with, a table of bits first.
 *
 * Words that would be found by chance are no secrets: too short, an id, or without a digit and not long.
 */
export class SecretFinder {
  private readonly byStart = new Map<string, string[]>();
  private readonly slots = new Uint8Array(SLOTS);
  /** How many are looked for. */
  count = 0;

  constructor(secrets: Iterable<string>) {
    for (const secret of new Set(secrets)) {
      if (!isTelling(secret)) continue;
      this.count += 1;
      for (const form of new Set([tellingPart(secret), escaped(secret), encodeURIComponent(secret)])) this.add(form);
    }
  }

  /** Returns the lines of a log that hold a secret. */
  search(log: string): Leak[] {
    const leaks: Leak[] = [];
    let from = 0;
    while (from < log.length) {
      const end = log.indexOf('\n', from);
      const line = log.slice(from, end < 0 ? log.length : end);
      const found = this.find(line);
      if (found !== undefined) leaks.push({ line: mask(line, found) });
      from += line.length + 1;
    }
    return leaks;
  }

  private add(form: string): void {
    const start = form.slice(0, WIDTH);
    this.slots[slotOf(form, 0)] = 1;
    this.byStart.set(start, [...(this.byStart.get(start) ?? []), form]);
  }

  private find(line: string): string | undefined {
    for (let at = 0; at + WIDTH <= line.length; at += 1) {
      if (this.slots[slotOf(line, at)] === 0) continue;
      const found = this.byStart.get(line.slice(at, at + WIDTH))?.find((secret) => line.startsWith(secret, at));
      if (found !== undefined) return found;
    }
    for (const pattern of NEVER) {
      const found = pattern.exec(line)?.[0];
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Hashes one window. */
function slotOf(text: string, at: number): number {
  let hash = 0;
  for (let n = at; n < at + WIDTH; n += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(n)) | 0;
  return (hash ^ (hash >>> 12)) & (SLOTS - 1);
}

/** Whether a value says something where it is found: a test's "password", "nonsense" or a user's id does not. */
function isTelling(value: string): boolean {
  if (value.length < WIDTH || new Set(value).size < 6 || /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(value))
    return false;
  return value.length >= 24 || (/\d/.test(value) && /[a-z]/i.test(value));
}

/** What of a secret is looked for, so that it is found cut off, too: of a JWT, the signature. */
function tellingPart(secret: string): string {
  const part = /^eyJ[\w-]+\.[\w-]+\.(?<signature>[\w-]{24,})$/.exec(secret)?.groups?.['signature'] ?? secret;
  return part.slice(0, Math.max(WIDTH, Math.min(24, part.length)));
}

/** Takes the secret out of a line, with what may be the rest of it. */
function mask(line: string, found: string): string {
  return line
    .split(found)
    .map((part, n) => (n === 0 ? part : part.replace(/^[\w.~%+/=-]*/, '<secret>')))
    .join('');
}

const escaped = (secret: string): string => JSON.stringify(secret).slice(1, -1);
