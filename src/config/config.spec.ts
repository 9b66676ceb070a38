import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { ConfigError, loadConfig, readSettings } from './config.js';

const KEY = 'k'.repeat(32);
const DATA_KEY = Buffer.alloc(32, 1).toString('base64');

function mistakesOf(environment: Record<string, string>): string[] {
  try {
    loadConfig(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message.split('\n').slice(1);
  }
  return [];
}

describe('loadConfig', () => {
  it('needs nothing in development', () => {
    const config = loadConfig({});
    expect(config.PORT).toBe(3000);
    expect(config.JWT_EXPIRES_IN).toBe(900_000);
    expect(config.DATABASE_URL).toMatchObject({ kind: 'sqlite', file: expect.stringMatching(/data\/herald\.sqlite$/) });
    expect(config.allowedOrigins).toEqual(['*']);
    expect(config.logFormat).toBe('pretty');
  });

  it('treats an empty variable as unset', () => {
    expect(loadConfig({ PORT: '', JWT_SECRET: ' ' }).PORT).toBe(3000);
  });

  it.each([
    ['PORT', 'http', 'is not a whole number'],
    ['PORT', '70000', 'is above 65535'],
    ['PORT', '1e3', 'is not a whole number'],
    ['JWT_EXPIRES_IN', '15 minutes', 'is not a duration'],
    ['SQLITE_SYNCHRONOUS', 'off', 'is not one of FULL, NORMAL'],
    ['DATABASE_URL', 'mysql://x', 'is neither sqlite:'],
    ['DATABASE_URL', 'sqlite::memory:', 'is neither sqlite:'],
    ['CORS_ORIGINS', 'https://a.example/path', 'is not an origin'],
    ['ADMIN_EMAIL', 'nobody', 'is not an email address'],
    ['LOG_LEVEL', 'loud', 'is not one of'],
  ])('refuses %s=%s in one line with an example', (variable, value, problem) => {
    const lines = mistakesOf({ [variable]: value }).filter((line) => line.includes(`${variable}: `));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(JSON.stringify(value));
    expect(lines[0]).toContain(problem);
    expect(lines[0]).toContain(`for example ${variable}=`);
  });

  it('names every mistake at once, and no secret', () => {
    const lines = mistakesOf({ PORT: 'x', JWT_SECRET: 'hunter2', DATA_KEY: 'hunter3', WS_MAX_MESSAGE_BYTES: '1' });
    expect(lines).toHaveLength(4);
    expect(lines.join()).not.toContain('hunter');
  });

  it('demands the secrets in production, and refuses a placeholder or a short one', () => {
    expect(mistakesOf({ NODE_ENV: 'production' })).toHaveLength(2);
    expect(mistakesOf({ NODE_ENV: 'production', JWT_SECRET: KEY, DATA_KEY })).toEqual([]);
    expect(mistakesOf({ JWT_SECRET: 'short' })).toHaveLength(1);
    expect(mistakesOf({ JWT_SECRET: `${KEY},short` })).toHaveLength(1);
    expect(mistakesOf({ JWT_SECRET: 'change-me-change-me-change-me-change-me' })).toHaveLength(1);
    expect(mistakesOf({ JWT_SECRET: '<the output of: openssl rand -base64 48>' })).toHaveLength(1);
  });

  it('shows a wrong value, but for secrets', () => {
    expect(mistakesOf({ PASSWORD_REQUIRE_DIGIT: 'perhaps' })[0]).toContain('"perhaps"');
    expect(mistakesOf({ API_KEYS_MAX_PER_USER: 'many' })[0]).toContain('"many"');
    expect(mistakesOf({ METRICS_TOKEN: 'hunter' })[0]).not.toContain('hunter');
  });

  it('serves only its own origin in production unless told otherwise', () => {
    expect(loadConfig({ NODE_ENV: 'production', JWT_SECRET: KEY, DATA_KEY }).allowedOrigins).toEqual([]);
  });
});

describe('readSettings', () => {
  const schema = z.object({
    THING_KEY: z.string().min(8, 'is too short'),
    THING_SIZE: z.coerce.number({ error: 'is not a number' }).default(3).meta({ example: '5' }),
    THING_NAME: z.string(),
  });
  afterEach(() => vi.unstubAllEnvs());

  it('reads variables of an extension, an empty one as unset', () => {
    vi.stubEnv('THING_KEY', 'long enough');
    vi.stubEnv('THING_NAME', 'x');
    vi.stubEnv('THING_SIZE', ' ');
    expect(readSettings(schema)).toEqual({ THING_KEY: 'long enough', THING_NAME: 'x', THING_SIZE: 3 });
  });

  it('tells mistakes as those of Herald are told', () => {
    vi.stubEnv('THING_KEY', 'hunter');
    vi.stubEnv('THING_SIZE', 'big');
    expect(() => readSettings(schema)).toThrow(
      new ConfigError(
        'The configuration is not valid:\n' +
          '  THING_KEY: (not shown) is too short\n' +
          '  THING_SIZE: "big" is not a number; for example THING_SIZE=5\n' +
          '  THING_NAME: is required',
      ),
    );
  });
});
