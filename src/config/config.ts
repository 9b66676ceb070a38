import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { StartError } from '../common/start-error.js';
import { envSchema, type DatabaseUrl, type Env } from './env.schema.js';

/** The configuration, injectable by its class: `constructor(private readonly config: Config)`. */
// A class and an interface of one name, so that every variable is a typed property of the injected class.
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging
export class Config {
  constructor(values: Env) {
    Object.assign(this, values);
  }

  get isProduction(): boolean {
    return this.NODE_ENV === 'production';
  }

  /** Origins whose pages are served; empty means the service's own origin only. */
  get allowedOrigins(): readonly string[] {
    return this.CORS_ORIGINS ?? (this.isProduction ? [] : ['*']);
  }

  /** The folder of what is no row: beside the SQLite file, or `data` in the working directory. */
  get dataFolder(): string {
    const { DATABASE_URL: database } = this;
    return database.kind === 'sqlite' ? dirname(database.file) : resolve('data');
  }

  /** Returns the same with another database. */
  withDatabase(database: DatabaseUrl): Config {
    return new Config(Object.assign({}, this, { DATABASE_URL: database }));
  }

  /** Where development keeps a secret that nobody has set. */
  keptSecretFile(name: 'jwt-secret' | 'data-key'): string {
    const { DATABASE_URL: database } = this;
    return `${database.kind === 'sqlite' ? database.file : resolve('data', 'postgres')}.${name}`;
  }

  get logFormat(): 'pretty' | 'json' {
    return this.LOG_FORMAT ?? (this.NODE_ENV === 'development' ? 'pretty' : 'json');
  }
}
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging, typescript/no-empty-object-type
export interface Config extends Readonly<Env> {}

/** Thrown when variables are wrong; its message has one line per mistake. */
export class ConfigError extends StartError {
  override readonly name = 'ConfigError';
}

/**
 * Parses the environment into the configuration.
 *
 * @throws ConfigError naming, for every mistake, the variable, what is wrong with its value, and a value that works.
 */
export function loadConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const values = parse(envSchema, environment);
  const mistakes = missing(values);
  if (mistakes.length > 0) throw invalid(mistakes);
  return new Config(values);
}

/** Parses what is set; an empty variable counts as unset. @throws ConfigError */
function parse<S extends z.ZodObject>(
  schema: S,
  environment: Readonly<Record<string, string | undefined>>,
): z.infer<S> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim()));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw invalid(result.error.issues.map((issue) => describe(schema, issue, given)));
}

function invalid(mistakes: readonly string[]): ConfigError {
  const lines = [...new Set(mistakes)].map((line) => `  ${line}`);
  return new ConfigError(`The configuration is not valid:\n${lines.join('\n')}`);
}

/** What one variable demands of another, which no single variable's schema can say. */
function missing(env: Env): string[] {
  const mistakes: string[] = [];
  if (env.NODE_ENV === 'production') {
    if (!env.JWT_SECRET) mistakes.push(explain(envSchema, 'JWT_SECRET', 'is required in production'));
    if (!env.DATA_KEY) mistakes.push(explain(envSchema, 'DATA_KEY', 'is required in production'));
  }
  if (env.ADMIN_EMAIL && !env.ADMIN_PASSWORD) {
    mistakes.push(explain(envSchema, 'ADMIN_PASSWORD', 'is required with ADMIN_EMAIL'));
  }
  if (env.ADMIN_PASSWORD && !env.ADMIN_EMAIL) {
    mistakes.push(explain(envSchema, 'ADMIN_EMAIL', 'is required with ADMIN_PASSWORD'));
  }
  return mistakes;
}

/** Variables whose values no message may show. What a password must be like, and how many keys there are, it may. */
const SECRET =
  /^(?!PASSWORD_REQUIRE_|PASSWORD_HISTORY$|API_KEYS_MAX_).*(SECRET|PASSWORD|KEY|TOKEN|MAIL_URL|WEBHOOK_URL|HEADERS)/;

function describe(schema: z.ZodObject, issue: z.core.$ZodIssue, given: Record<string, string | undefined>): string {
  const variable = String(issue.path[0]);
  const text = given[variable];
  if (text === undefined) {
    return explain(schema, variable, issue.code === 'invalid_type' ? 'is required' : issue.message);
  }
  const isSecret = SECRET.test(variable) || /:\/\/[^/]*@/.test(text);
  const value = isSecret ? '(not shown)' : JSON.stringify(text.slice(0, 60));
  return explain(schema, variable, `${value} ${issue.message}`);
}

function explain({ shape }: z.ZodObject, variable: string, problem: string): string {
  const type = shape[variable] as z.ZodType | undefined;
  const example = type && (z.globalRegistry.get(type)?.['example'] as string | undefined);
  return `${variable}: ${problem}${example === undefined ? '' : `; for example ${variable}=${example}`}`;
}

/** Reads `.env`, if there is one, and the process's environment, which wins; the only place that does. */
export function loadProcessConfig(): Config {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return loadConfig(process.env);
}

/**
 * Reads variables of an extension from the environment, so that it starts with a right value or not at all.
 *
 * @throws ConfigError with one line per mistake.
 */
export function readSettings<S extends z.ZodObject>(schema: S): z.infer<S> {
  return parse(schema, process.env);
}
