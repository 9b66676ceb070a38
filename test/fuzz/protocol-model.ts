import { z } from 'zod';
import type { Credentials } from './fuzzed-server.js';

const types = {
  'user.registered': 0,
  'user.deleted': 0,
  'user.updated': 0,
  'login.success': 0,
  'login.failed': 0,
  logout: 0,
  'password.changed': 0,
  'password.reset': 0,
  'email.verified': 0,
  'mfa.enabled': 0,
  'mfa.disabled': 0,
  'api_key.created': 0,
  'api_key.revoked': 0,
  'account.locked': 0,
  'account.unlocked': 0,
};

/** Every filter that the contract knows. */
export const VALID_FILTERS: readonly string[] = [
  '*',
  ...Object.keys(types),
  ...['user', 'login', 'password', 'email', 'mfa', 'api_key', 'account'].map((prefix) => `${prefix}.*`),
];
const valid = new Set(VALID_FILTERS);

/** A text message of a client. */
export interface TextMessage {
  kind: string;
  text: string;
  /** True where the text parses, and must be refused nevertheless. */
  hasRepeatedKey?: boolean;
}

/** What the contract says must come next. */
export interface Expected {
  type: keyof typeof answers;
  /** Fields and their exact values; an array's order is free. */
  fields: Record<string, unknown>;
  /** What the message of an error must speak of. */
  message?: RegExp;
}

const requestId = z.string().optional();
const answers = {
  pong: z.strictObject({ type: z.literal('pong'), requestId }),
  error: z.strictObject({
    type: z.literal('error'),
    code: z.enum(['BAD_REQUEST', 'UNAUTHORIZED', 'VALIDATION']),
    message: z.string().min(1).max(4000),
    details: z.array(z.strictObject({ field: z.string(), code: z.string(), message: z.string() })).optional(),
    requestId,
  }),
  auth: z.discriminatedUnion('ok', [
    z.strictObject({ type: z.literal('auth'), ok: z.literal(true), userId: z.uuid(), requestId }),
    z.strictObject({ type: z.literal('auth'), ok: z.literal(false), requestId }),
  ]),
  subscribed: z.strictObject({ type: z.literal('subscribed'), events: z.array(z.string()), requestId }),
  replayed: z.strictObject({
    type: z.literal('replayed'),
    count: z.number().int().min(0),
    complete: z.literal(true),
    requestId,
  }),
};
const event = z.strictObject({
  type: z.literal('event'),
  event: z.strictObject({
    id: z.string().regex(/^evt-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    type: z.enum(Object.keys(types) as [keyof typeof types]),
    timestamp: z.iso.datetime({ precision: 3 }),
    payload: z.record(z.string(), z.unknown()),
  }),
});

/** Says what is wrong with a message of the server that should be an event; undefined if nothing is. */
export function wrongWithEvent(message: unknown, owner: string | undefined): string | undefined {
  const { success, data, error } = event.safeParse(message);
  if (!success) return `no event: ${error.message}`;
  const { payload } = data.event;
  return payload['userId'] === owner ? undefined : 'somebody else’s event';
}

/** Says what is wrong with an answer, against what was expected; undefined if nothing is. */
export function wrongWithAnswer(answer: Record<string, unknown>, expected: Expected): string | undefined {
  const { success, error } = answers[expected.type].safeParse(answer);
  if (!success) return error.issues.map(({ message }) => message).join('; ');
  const wanted: Record<string, unknown> = { requestId: undefined, ...expected.fields };
  for (const [field, value] of Object.entries(wanted)) {
    const given = answer[field];
    const same = Array.isArray(value) ? sortedText(value) === sortedText(given) : value === given;
    if (!same)
      return `${field} is ${JSON.stringify(given)?.slice(0, 200)}, not ${JSON.stringify(value)?.slice(0, 200)}`;
  }
  if (expected.message && !expected.message.test(String(answer['message'])))
    return `the message does not say what is wrong: ${String(answer['message'])}`;
  return undefined;
}

/** The order of filters is nobody's promise; that none is there twice is. */
function sortedText(list: unknown): string {
  return JSON.stringify((list as string[]).toSorted((a, b) => (a < b ? -1 : 1)));
}

/** Whether U+0000, which no text may hold, is in a string or a key anywhere, however deep. */
function holdsNul(value: unknown): boolean {
  const waiting = [value];
  while (waiting.length > 0) {
    const one = waiting.pop();
    if (typeof one === 'string' && one.includes('\0')) return true;
    if (typeof one !== 'object' || one === null) continue;
    for (const [key, inside] of Object.entries(one)) waiting.push(key, inside);
  }
  return false;
}

/** The contract's side of one connection: what must be answered to each message, written without a look at the service. */
export class ProtocolModel {
  private filters = new Set<string>();
  /** Whose connection it is, for good; undefined until it says so. */
  owner: string | undefined;

  constructor(
    private readonly credentials: Credentials,
    private readonly isCursor: (id: string) => boolean,
  ) {}

  /** What must come first where the URL had a good ticket. */
  authenticate(): Expected {
    this.owner = this.credentials.userId;
    return { type: 'auth', fields: { ok: true, userId: this.owner } };
  }

  /** What must be answered to a binary message. */
  binary(): Expected {
    return { type: 'error', fields: { code: 'BAD_REQUEST' }, message: /[Bb]inary/ };
  }

  /** What must be answered to a text message, in order. */
  answersTo({ text, hasRepeatedKey }: TextMessage): Expected[] {
    let value: unknown;
    try {
      value = hasRepeatedKey ? undefined : JSON.parse(text);
    } catch {
      // Said below.
    }
    if (value === undefined) return [{ type: 'error', fields: { code: 'BAD_REQUEST' }, message: /JSON|twice|U\+0000/ }];
    if (holdsNul(value)) return [{ type: 'error', fields: { code: 'BAD_REQUEST' }, message: /U\+0000/ }];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return [{ type: 'error', fields: { code: 'BAD_REQUEST' }, message: /JSON object/ }];
    }
    const message = Object.assign(Object.create(null), value) as Record<string, unknown>;
    const { requestId: id } = message;
    const echo = typeof id === 'string' && Array.from(id).length <= 128 ? { requestId: id } : {};
    const hasBadId = id !== undefined && !('requestId' in echo);
    return this.answersToObject(message, hasBadId).map((expected) => ({
      ...expected,
      fields: { ...expected.fields, ...echo },
    }));
  }

  private answersToObject(message: Record<string, unknown>, hasBadId: boolean): Expected[] {
    const { type } = message;
    const badId: Expected = { type: 'error', fields: { code: 'VALIDATION' }, message: /requestId/ };
    if (type === 'ping') return [hasBadId ? badId : { type: 'pong', fields: {} }];
    if (type === 'auth') return [this.answerToAuth(message, hasBadId)];
    if (this.owner === undefined)
      return [{ type: 'error', fields: { code: 'UNAUTHORIZED', message: 'Authentication required' } }];
    if (type !== 'subscribe' && type !== 'unsubscribe')
      return [{ type: 'error', fields: { code: 'VALIDATION' }, message: /known types/ }];
    const { events, lastEventId } = message;
    if (!isListOfStrings(events))
      return [{ type: 'error', fields: { code: 'VALIDATION' }, message: /events|requestId|lastEventId/ }];
    if (hasBadId) return [badId];
    const isResumed = type === 'subscribe' && lastEventId !== undefined;
    if (isResumed && typeof lastEventId !== 'string')
      return [{ type: 'error', fields: { code: 'VALIDATION' }, message: /lastEventId/ }];
    if (!events.every((filter) => valid.has(filter)))
      return [{ type: 'error', fields: { code: 'VALIDATION' }, message: /Valid names|At most/ }];
    if (isResumed && !this.isCursor(lastEventId as string))
      return [{ type: 'error', fields: { code: 'VALIDATION' }, message: /event's id/ }];
    for (const filter of events) this.filters[type === 'subscribe' ? 'add' : 'delete'](filter);
    const subscribed: Expected = { type: 'subscribed', fields: { events: [...this.filters] } };
    return isResumed ? [subscribed, { type: 'replayed', fields: {} }] : [subscribed];
  }

  private answerToAuth(message: Record<string, unknown>, hasBadId: boolean): Expected {
    const given = ['token', 'apiKey', 'ticket'].filter((name) => message[name] !== undefined);
    const secret = message[given[0] ?? ''];
    const isShapeless = given.some((name) => typeof message[name] !== 'string' || message[name] === '');
    if (hasBadId || isShapeless || given.length !== 1) {
      return { type: 'error', fields: { code: 'VALIDATION' }, message: /token|apiKey|ticket|requestId/ };
    }
    const userId = this.accountOf(given[0], secret);
    if (userId === undefined || (this.owner !== undefined && this.owner !== userId)) {
      return { type: 'auth', fields: { ok: false } };
    }
    this.owner = userId;
    return { type: 'auth', fields: { ok: true, userId } };
  }

  private accountOf(name: string | undefined, secret: unknown): string | undefined {
    const { tokens, apiKey, userId, stranger } = this.credentials;
    if (name === 'token' && secret === stranger.token) return stranger.userId;
    const isOwn = name === 'token' ? tokens.includes(secret as string) : name === 'apiKey' && secret === apiKey;
    return isOwn ? userId : undefined;
  }
}

function isListOfStrings(value: unknown): value is string[] {
  const isList = Array.isArray(value) && value.length > 0 && value.length <= 1000;
  return isList && value.every((item) => typeof item === 'string');
}
