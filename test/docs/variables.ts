import { z } from 'zod';
import { envSchema } from '../../src/config/env.schema.js';

/** What the documentation says of a variable. */
export interface Variable {
  name: string;
  meaning: string;
  /** A value that would be accepted. */
  example: string;
  /** As it would stand in the environment; undefined when an unset variable has a meaning of its own. */
  default: string | undefined;
}

/** A part of the configuration. */
export interface VariableGroup {
  title: string;
  variables: Variable[];
}

/** Where each part begins, in the order of the schema. */
const TITLES: Readonly<Record<string, string>> = {
  NODE_ENV: 'The process and its address',
  DATABASE_URL: 'Database',
  JWT_SECRET: 'Keys, tokens and sessions',
  ADMIN_EMAIL: 'The first admin',
  CORS_ORIGINS: 'Requests and their limits',
  PASSWORD_REQUIRE_LOWER: 'Passwords, keys and locks',
  EVENTS_RETENTION_DAYS: 'Events and live connections',
  HERALD_EXTENSIONS: 'Extensions',
  JOBS_STORE: 'Jobs',
  WEBHOOK_RETRY_SCHEDULE: 'Webhooks',
  MAIL_URL: 'Mail',
  METRICS_TOKEN: 'Operations',
};

/** Returns every variable, in the order of the schema. */
export function variableGroups(): VariableGroup[] {
  const groups: VariableGroup[] = [];
  const titles = new Map(Object.entries(TITLES));
  for (const [name, schema] of Object.entries(envSchema.shape)) {
    const { meaning, example } = z.globalRegistry.get(schema) as { meaning: string; example: string };
    const preset = schema instanceof z.ZodPrefault ? schema.def.defaultValue : '';
    const title = titles.get(name);
    if (title !== undefined) groups.push({ title, variables: [] });
    titles.delete(name);
    groups.at(-1)?.variables.push({ name, meaning, example, default: preset === '' ? undefined : preset });
  }
  if (titles.size > 0) throw new Error(`There is no variable ${[...titles.keys()].join(', ')} any more`);
  return groups;
}

/** Writes `.env.example`. */
export function envExample(groups: readonly VariableGroup[]): string {
  const head = `# Every variable Herald reads. All are optional in development; an unset one has the default shown.
# Copy this file to .env and remove the "# " of what you set; the process's own environment wins over it.
`;
  const parts = groups.map(({ title, variables }) => {
    const entries = variables.map((variable) => {
      const preset = variable.default === undefined ? '' : ` (default: ${variable.default})`;
      return `# ${variable.meaning}${preset}\n# ${variable.name}=${variable.example}\n`;
    });
    return `## ${title}\n\n${entries.join('\n')}`;
  });
  return [head, ...parts].join('\n');
}

/** Writes the tables of docs/configuration.md. */
export function variableTables(groups: readonly VariableGroup[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const parts = groups.map(({ title, variables }) => {
    const rows = variables.map(({ name, meaning, default: preset }) => {
      const shown = preset === undefined ? '' : `\`${preset}\``;
      return `| \`${name}\` | ${shown} | ${cell(meaning).replaceAll('<', '&lt;')} |`;
    });
    return `## ${title}\n\n| variable | default | meaning |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return parts.join('\n');
}
