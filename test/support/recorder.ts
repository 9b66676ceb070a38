import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Writable } from 'node:stream';

/** The variable that names the folder of this run's records; unset (in a bench, say), nothing is recorded. */
export const RECORDS = 'HERALD_TEST_RECORDS';

/** Fields, headers, parameters and variables that carry secrets, whatever they are called around them. */
const NAMED =
  /^(authorization|x-api-key|api-?key|raw-?key|code|recovery-?codes|ticket|jwt_secret|data_key)$|password$|token$|secret$/i;
const known = new Set<string>();

const fileOf = (kind: string): string | undefined => {
  const folder = process.env[RECORDS];
  return folder && join(folder, `${process.pid}.${kind}`);
};

/** Says that a server was started: its logs and secrets must be among the records. */
export function recordStart(): void {
  const file = fileOf('starts');
  if (file !== undefined) appendFileSync(file, '.');
}

/** Where a server in this process logs to; undefined where nothing is recorded. */
export function logRecord(): Writable | undefined {
  const file = fileOf('log');
  if (file === undefined) return undefined;
  return new Writable({ write: (chunk: Buffer, _, done) => (appendFileSync(file, chunk), done()) });
}

let streams = 0;

/** Records what a process says on one of its outputs. */
export function recordOutput(output: Readable | null): void {
  streams += 1;
  const file = fileOf(`${streams}.log`);
  // Read in any case: a process whose output nobody reads comes to a stop.
  output?.on('data', (chunk: Buffer | string) => file !== undefined && appendFileSync(file, chunk));
}

/** Remembers a secret that a test uses, to be looked for in all logs of the run. */
export function recordSecret(secret: string): void {
  const file = fileOf('secrets');
  if (file === undefined || known.has(secret)) return;
  known.add(secret);
  appendFileSync(file, `${JSON.stringify(secret)}\n`);
}

/** Remembers every secret in a body, in headers, parameters or variables, by the names of their fields. */
export function recordSecrets(value: unknown): void {
  if (process.env[RECORDS] === undefined) return;
  if (typeof value === 'string' && /^\s*[[{]/.test(value)) {
    try {
      recordSecrets(JSON.parse(value));
    } catch {
      // A test sends what is no JSON: it has no fields.
    }
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    if (NAMED.test(name)) for (const one of [inner].flat()) if (typeof one === 'string') recordNamed(name, one);
    recordSecrets(inner);
  }
}

/** Remembers the secrets in the parameters of a URL, or in the fragment of a link. */
export function recordSecretsIn(text: string): void {
  for (const [, name = '', value = ''] of text.matchAll(/[?&#](\w+)=([\w.~%+/=-]+)/g)) {
    if (NAMED.test(name)) recordNamed(name, decodeURIComponent(value));
  }
}

/** Remembers the secrets that a server is given, and those that it makes beside its database. */
export function recordEnvironment(environment: Readonly<Record<string, string>>): void {
  const { MAIL_URL, DATABASE_URL, JWT_SECRET } = environment;
  recordSecrets(environment);
  for (const key of JWT_SECRET?.split(',') ?? []) recordSecret(key);
  if (MAIL_URL !== undefined && URL.canParse(MAIL_URL)) recordSecret(decodeURIComponent(new URL(MAIL_URL).password));
  for (const kind of ['jwt-secret', 'data-key']) {
    const file = `${DATABASE_URL?.slice('sqlite:'.length)}.${kind}`;
    if (existsSync(file)) recordSecret(readFileSync(file, 'utf8').trim());
  }
}

function recordNamed(name: string, value: string): void {
  recordSecret(/^authorization$/i.test(name) ? value.replace(/^\w+ /, '') : value);
}
