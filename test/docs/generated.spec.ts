import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eventTables } from './events.js';
import { envExample, variableGroups, variableTables } from './variables.js';

/** The file with its generated parts made anew, each between `<!-- name: … -->` and `<!-- /name -->`. */
function withParts(file: string, parts: Readonly<Record<string, string>>): string {
  let text = readFileSync(file, 'utf8');
  for (const [name, part] of Object.entries(parts)) {
    const place = new RegExp(`(<!-- ${name}: [^>]*-->\n)[^]*?(<!-- /${name} -->)`);
    expect(text, `${file} has no place for "${name}"`).toMatch(place);
    text = text.replace(place, (_, head: string, end: string) => `${head}\n${part}\n${end}`);
  }
  return text;
}

/** `npm run docs` writes these anew; the check fails while they say something else than the code. */
describe('generated documentation', () => {
  it('.env.example has every variable of the schema', async () => {
    await expect(envExample(variableGroups())).toMatchFileSnapshot('../../.env.example');
  });

  it('docs/configuration.md has every variable of the schema', async () => {
    const text = withParts('docs/configuration.md', { variables: variableTables(variableGroups()) });
    await expect(text).toMatchFileSnapshot('../../docs/configuration.md');
  });

  it('docs/events.md has every event of the catalogue', async () => {
    const text = withParts('docs/events.md', { events: eventTables() });
    await expect(text).toMatchFileSnapshot('../../docs/events.md');
  });
});
