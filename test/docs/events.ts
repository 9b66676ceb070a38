import { z } from 'zod';
import { catalogue, type EventDefinition } from '../../src/events/catalogue.js';

/** Who sees an event, beside admins. */
const AUDIENCE = { userId: 'the account', email: 'the account with that address' };

/** Writes the table of docs/events.md: one row for every event of the catalogue. */
export function eventTables(): string {
  const rows = Object.entries<EventDefinition>(catalogue).map(([type, { description, payload, subject }]) => {
    const { properties = {} } = z.toJSONSchema(payload);
    const fields = Object.keys(properties).map((name) => `\`${name}\``);
    if (typeof subject !== 'string') throw new TypeError(`${type}: say here who sees it`);
    return `| \`${type}\` | ${fields.join(', ')} | ${description} | ${AUDIENCE[subject]} |`;
  });
  return `| type | payload | published when | who sees it, beside admins |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}
