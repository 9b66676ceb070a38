import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import { parseDuration } from './duration.js';
import { duration, flag, integer, list, meta, oneOf } from './variables.js';

/** What the examples say in place of a secret, copied as it is. */
const isFilledIn = (text: string) => !/^<.*>$/.test(text);

const isAddressOrRange = (entry: string) => {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(entry)) return true;
  const [address = '', bits, ...rest] = entry.split('/');
  const width = isIP(address) === 6 ? 128 : 32;
  return (
    isIP(address) > 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= width))
  );
};

const DAY = 86_400_000;

/** Which database: a file of this process's own, or a server that instances share. */
export type DatabaseUrl =
  | { readonly kind: 'sqlite'; /** Absolute. */ readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string };

/**
 * Every variable the service reads, with its default, unit and meaning; parsed once at start by `loadConfig`.
 *
 * An empty variable counts as unset. Names ending in `_MS` are whole milliseconds. A default is written as a value of the
 * environment would be (`prefault`), which is how it is documented.
 */
export const envSchema = z.object({
  NODE_ENV: oneOf('development', 'production', 'test')
    .prefault('development')
    .meta(meta('production demands JWT_SECRET and DATA_KEY and closes every convenience of development', 'production')),
  PORT: integer(0, 65_535).prefault('3000').meta(meta('TCP port; 0 takes a free one and logs it', '3000')),
  HOST: z.string().prefault('0.0.0.0').meta(meta('address to listen on', '127.0.0.1')),
  TRUST_PROXY: z
    .string()
    .transform(list)
    .pipe(z.array(z.string().refine(isAddressOrRange, 'has an entry that is neither an address nor a range')))
    .prefault('')
    .meta(
      meta(
        'proxies whose X-Forwarded-For to believe: addresses, CIDR ranges, or loopback, linklocal, uniquelocal, comma separated; unset: nobody',
        'loopback,10.0.0.0/8',
      ),
    ),
  DATABASE_URL: z
    .string()
    .regex(
      /^(sqlite:(?!:memory:).+|postgres(ql)?:\/\/[^/]+\/[^/]+)$/,
      'is neither sqlite:<path of a file> nor postgres://user:password@host/database',
    )
    .transform((url): DatabaseUrl =>
      url.startsWith('sqlite:')
        ? { kind: 'sqlite', file: resolve(url.slice('sqlite:'.length)) }
        : { kind: 'postgres', url },
    )
    .prefault('sqlite:data/herald.sqlite')
    .meta(
      meta(
        'the database: sqlite:<path>, whose folders are made, or postgres://user:password@host:port/database, which any number of instances share',
        'postgres://herald:password@localhost:5432/herald',
      ),
    ),
  DATABASE_POOL_SIZE: integer(2, 1000)
    .prefault('10')
    .meta(
      meta(
        'connections to PostgreSQL for reading, and as many for writing; one more listens to the other instances',
        '20',
      ),
    ),
  SQLITE_SYNCHRONOUS: oneOf('FULL', 'NORMAL')
    .prefault('FULL')
    .meta(meta('FULL survives a power cut; NORMAL is faster and may lose the last commits in one', 'FULL')),
  JWT_SECRET: z
    .string()
    .transform(list)
    .pipe(
      z
        .array(
          z
            .string()
            .refine((key) => Buffer.byteLength(key) >= 32, 'has a key of fewer than 32 bytes')
            .refine(isFilledIn, 'is a placeholder')
            .refine((key) => !/change.?me|secret.?key|your.?secret/i.test(key), 'is a placeholder'),
        )
        .min(1, 'holds no key'),
    )
    .optional()
    .meta(
      meta(
        'HS256 keys, at least 32 bytes each, comma separated: the first signs, all verify; required in production',
        '<the output of: openssl rand -base64 48>',
      ),
    ),
  JWT_EXPIRES_IN: duration().prefault('15m').meta(meta('lifetime of an access token', '15m')),
  JWT_REFRESH_EXPIRES_IN: duration()
    .prefault('7d')
    .meta(meta('lifetime of a refresh token, and so of a session nobody refreshes', '7d')),
  SESSION_MAX_LIFETIME: duration()
    .prefault('30d')
    .meta(meta('longest life of a session, however often it is refreshed', '30d')),
  DATA_KEY: z
    .string()
    .refine(
      (text) => /^[A-Za-z0-9+/]{43}=$/.test(text) && Buffer.from(text, 'base64').length === 32,
      'is not 32 bytes of base64',
    )
    .optional()
    .meta(
      meta(
        'key that encrypts secrets at rest (AES-256-GCM); required in production',
        '<the output of: openssl rand -base64 32>',
      ),
    ),
  ADMIN_EMAIL: z
    .email('is not an email address')
    .transform((email) => email.toLowerCase())
    .optional()
    .meta(meta('the first admin, made at start if no admin exists; needs ADMIN_PASSWORD', 'admin@example.com')),
  ADMIN_PASSWORD: z
    .string()
    .refine(isFilledIn, 'is a placeholder')
    .optional()
    .meta(meta('password of the first admin; the password policy applies', '<a password of your choice>')),
  CORS_ORIGINS: z
    .string()
    .transform(list)
    .pipe(
      z.array(
        z
          .string()
          .refine(
            (origin) => origin === '*' || (URL.canParse(origin) && new URL(origin).origin === origin),
            'has an entry that is not an origin (scheme://host[:port], without a path)',
          ),
      ),
    )
    .optional()
    .meta(
      meta(
        'origins whose pages may call the API and open a WebSocket, comma separated; unset: * in development, same origin only in production',
        'https://app.example.com',
      ),
    ),
  HTTP_MAX_BODY_BYTES: integer(1024, 16_777_216)
    .prefault('102400')
    .meta(meta('largest request body, in bytes', '102400')),
  RATE_LIMIT_MAX: integer(0, 1_000_000).prefault('300').meta(meta('requests per address and window; 0 is off', '300')),
  RATE_LIMIT_WINDOW_MS: integer(1000, DAY)
    .prefault('60000')
    .meta(meta('the window of both rate limits, in ms', '60000')),
  AUTH_RATE_LIMIT_MAX: integer(0, 1_000_000)
    .prefault('20')
    .meta(meta('requests to /auth per address and window; 0 is off', '20')),
  PASSWORD_REQUIRE_LOWER: flag().prefault('true').meta(meta('whether a password needs a lower-case letter', 'false')),
  PASSWORD_REQUIRE_UPPER: flag().prefault('true').meta(meta('whether a password needs an upper-case letter', 'false')),
  PASSWORD_REQUIRE_DIGIT: flag().prefault('true').meta(meta('whether a password needs a digit', 'false')),
  PASSWORD_WORDS: z
    .string()
    .transform((text) => list(text.toLowerCase()))
    .pipe(z.array(z.string().min(3, 'has a word of fewer than 3 characters')))
    .prefault('')
    .meta(
      meta('words that no password may contain, comma separated: names of your product, your company', 'acme,rocket'),
    ),
  PASSWORD_HISTORY: integer(0, 24)
    .prefault('5')
    .meta(meta('how many of its last passwords an account may not use again; 0 is off', '5')),
  API_KEYS_MAX_PER_USER: integer(0, 1_000_000)
    .prefault('0')
    .meta(meta('API keys an account may have; 0 is no limit', '50')),
  LOCKOUT_MAX_ATTEMPTS: integer(0, 1000)
    .prefault('5')
    .meta(meta('failed logins in a row that lock an account; 0 is off', '5')),
  LOCKOUT_DURATION_MS: integer(1, 30 * DAY)
    .prefault('900000')
    .meta(meta('how long a lock lasts, in ms', '900000')),
  EVENTS_RETENTION_DAYS: integer(1, 36_500)
    .prefault('90')
    .meta(meta('how far back replay and GET /events reach, in whole days', '90')),
  SSE_HEARTBEAT_MS: integer(50, 3_600_000)
    .prefault('30000')
    .meta(meta('pause between heartbeat comments on an SSE stream, in ms', '30000')),
  WS_AUTH_TIMEOUT_MS: integer(50, 3_600_000)
    .prefault('10000')
    .meta(meta('how long a WebSocket may stay unauthenticated, in ms', '10000')),
  WS_MAX_MESSAGE_BYTES: integer(256, 16_777_216)
    .prefault('16384')
    .meta(meta('largest WebSocket message from a client, in bytes', '16384')),
  WS_PING_INTERVAL_MS: integer(50, 3_600_000)
    .prefault('30000')
    .meta(meta('pause between protocol pings, in ms; two unanswered ones close the connection', '30000')),
  WS_MAX_MESSAGES_PER_MINUTE: integer(0, 1_000_000)
    .prefault('120')
    .meta(meta('messages a WebSocket client may send in a minute; 0 is off', '120')),
  REALTIME_MAX_BUFFERED_BYTES: integer(16_384, 1_073_741_824)
    .prefault('1048576')
    .meta(meta('bytes that may wait for one slow connection before it is closed', '1048576')),
  REALTIME_TOTAL_BUFFERED_BYTES: integer(1_048_576, 68_719_476_736)
    .prefault('268435456')
    .meta(meta('bytes that may wait for all connections together; over it the slowest are closed first', '268435456')),
  REALTIME_MAX_CONNECTIONS: integer(0, 1_000_000)
    .prefault('20000')
    .meta(meta('live connections of this process; 0 is no limit', '20000')),
  REALTIME_MAX_CONNECTIONS_PER_USER: integer(0, 1_000_000)
    .prefault('50')
    .meta(meta('live connections of one account; 0 is no limit', '50')),
  REALTIME_MAX_CONNECTIONS_PER_ADDRESS: integer(0, 1_000_000)
    .prefault('500')
    .meta(meta('live connections from one address; 0 is no limit', '500')),
  REALTIME_MAX_UNAUTHENTICATED_PER_ADDRESS: integer(0, 1_000_000)
    .prefault('100')
    .meta(meta('WebSockets from one address that have not authenticated yet; 0 is no limit', '100')),
  HERALD_EXTENSIONS: z
    .string()
    .transform(list)
    .prefault('')
    .meta(
      meta(
        'extensions to load, comma separated: shipped ones (herald/user-notes), packages that are installed, paths',
        'herald/user-notes,./my-extension',
      ),
    ),
  JOBS_STORE: oneOf('database', 'memory')
    .prefault('database')
    .meta(meta('where jobs wait; memory forgets them with the process: for tests and throw-away use', 'database')),
  JOBS_CONCURRENCY: integer(1, 1000)
    .prefault('20')
    .meta(meta('jobs of one type that run at once, unless the type says otherwise', '20')),
  JOBS_RETENTION_DAYS: integer(1, 36_500)
    .prefault('7')
    .meta(meta('how long completed jobs are kept, in whole days; dead ones stay as long as events do', '7')),
  WEBHOOK_RETRY_SCHEDULE: z
    .string()
    .transform((text, context) => {
      const pauses = list(text).map(parseDuration);
      if (pauses.length > 0 && pauses.every((pause) => pause !== undefined)) return pauses;
      context.addIssue({ code: 'custom', message: 'is not a list of durations (a number and one of ms, s, m, h, d)' });
      return z.NEVER;
    })
    .prefault('0s,5s,5m,30m,2h,5h,10h,14h,20h,24h')
    .meta(
      meta(
        'pause before each attempt of a webhook delivery, comma separated; after the last one it is dead',
        '0s,5s,5m,30m,2h,5h,10h,14h,20h,24h',
      ),
    ),
  WEBHOOK_TIMEOUT_MS: integer(50, 120_000)
    .prefault('15000')
    .meta(meta('how long a webhook receiver may take to answer, in ms', '15000')),
  WEBHOOK_ALLOW_CIDRS: z
    .string()
    .transform(list)
    .pipe(
      z.array(
        z
          .string()
          .refine((entry) => entry.includes('/') && isAddressOrRange(entry), 'has an entry that is not a range'),
      ),
    )
    .prefault('')
    .meta(
      meta(
        'ranges that webhooks may reach although they are not public, comma separated; unset: none',
        '10.20.0.0/16,127.0.0.0/8',
      ),
    ),
  MAIL_URL: z
    .string()
    .refine(
      (text) => URL.canParse(text) && /^smtps?:$/.test(new URL(text).protocol) && new URL(text).hostname !== '',
      'is not smtp://host:port or smtps://host:port',
    )
    .optional()
    .meta(
      meta(
        'the mail server: smtp:// (STARTTLS where offered; ?requireTLS=true demands it) or smtps://; unset: mails go to a local mailbox under data/mail',
        'smtps://user:password@mail.example.com',
      ),
    ),
  MAIL_FROM: z
    .string()
    .refine((text) => /@/.test(text) && !/[\r\n]/.test(text), 'is not an address')
    .prefault('Herald <no-reply@localhost>')
    .meta(meta('sender of every mail', 'Example <no-reply@example.com>')),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'is not an http or https URL' })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .meta(
      meta(
        'where people reach this service; links in mails begin with it (default: http://localhost:<port>)',
        'https://herald.example.com',
      ),
    ),
  METRICS_TOKEN: z
    .string()
    .min(16, 'is shorter than 16 characters')
    .refine(isFilledIn, 'is a placeholder')
    .optional()
    .meta(
      meta(
        'bearer token that GET /metrics asks for, at least 16 characters; unset: nothing is asked',
        '<the output of: openssl rand -hex 24>',
      ),
    ),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/, error: 'is not an http or https URL' })
    .optional()
    .meta(
      meta(
        'where traces go: the base URL of a collector that takes OTLP over HTTP, /v1/traces is added; unset: no traces',
        'http://localhost:4318',
      ),
    ),
  OTEL_EXPORTER_OTLP_HEADERS: z
    .string()
    .transform(list)
    .pipe(z.array(z.string().regex(/^[\w-]+=[^%]*(%[\da-fA-F]{2}[^%]*)*$/, 'has an entry that is not name=value')))
    .transform((pairs): Record<string, string> => {
      const split = pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const);
      return Object.fromEntries(split.map(([name, value]) => [name, decodeURIComponent(value)]));
    })
    .prefault('')
    .meta(
      meta('headers for the collector, name=value, comma separated, values URL-encoded; a secret', 'x-api-key=abc'),
    ),
  OTEL_SERVICE_NAME: z.string().prefault('herald').meta(meta('the name of this service in traces', 'herald')),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .regex(/^(0(\.\d+)?|1(\.0+)?)$/, 'is not a number from 0 to 1')
    .transform(Number)
    .prefault('1')
    .meta(
      meta('the share of traces begun here that are kept, from 0 to 1; a caller’s own decision is followed', '0.1'),
    ),
  SHUTDOWN_GRACE_MS: integer(0, 600_000)
    .prefault('10000')
    .meta(meta('how long a shutdown may take before the process ends regardless, in ms', '10000')),
  SHUTDOWN_DELAY_MS: integer(0, 600_000)
    .prefault('0')
    .meta(
      meta('how long a shutdown, already not ready, still serves before it begins, in ms: for load balancers', '5000'),
    ),
  LOG_LEVEL: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent')
    .prefault('info')
    .meta(meta('least severe level that is logged', 'info')),
  LOG_FORMAT: oneOf('pretty', 'json')
    .optional()
    .meta(meta('pretty lines or JSON lines; unset: pretty in development, json otherwise', 'json')),
});

/** The values of all variables, parsed. */
export type Env = z.infer<typeof envSchema>;
