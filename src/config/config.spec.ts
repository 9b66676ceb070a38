import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from './config.js';

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
    expect(config.DATABASE_URL.file).toMatch(/data\/herald\.sqlite$/);
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
    ['DATABASE_URL', 'mysql://x', 'is not sqlite:'],
    ['DATABASE_URL', 'sqlite::memory:', 'is not sqlite:'],
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
  });

  it('serves only its own origin in production unless told otherwise', () => {
    expect(loadConfig({ NODE_ENV: 'production', JWT_SECRET: KEY, DATA_KEY }).allowedOrigins).toEqual([]);
  });
});
