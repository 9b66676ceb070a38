import 'reflect-metadata';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadProcessConfig } from '../config/config.js';
import { settingsOf } from '../database/data-source-options.js';
import { openReader } from '../database/open-reader.js';
import { SecretCipher } from '../database/secret-cipher.service.js';
import { chainKeyFrom } from '../events/audit-chain.js';
import { verifyTrail } from '../events/audit-trail.service.js';
import { EventRow } from '../events/event.entity.js';

/**
 * `npm run audit:verify`: follows the chain of hashes through the audit trail and names the first row that breaks it.
 *
 * `-- --head ID:HASH`, as an earlier run printed it, also finds rows that were cut off the new end and rewritten since.
 *
 * Ends with 0 when the chain holds, 1 when it does not, 2 when it could not be looked at.
 */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: { head: { type: 'string' } } });
  const [id, hash] = /^([\w-]+):([\w-]+)$/.exec(values.head ?? '')?.slice(1) ?? [];
  if (values.head !== undefined && hash === undefined)
    throw new Error('--head is not ID:HASH, as an earlier run printed it');
  const config = loadProcessConfig();
  // Made anew here, a key would only say that everything was changed.
  if (!config.DATA_KEY && !existsSync(config.keptSecretFile('data-key')))
    throw new Error('DATA_KEY is not set: give the one of the service');
  const source = await openReader(settingsOf(config, { entities: [EventRow] }));
  try {
    const rows = source.getRepository(EventRow);
    const { count, head, broken } = await verifyTrail(source, chainKeyFrom(new SecretCipher(config)));
    if (broken) {
      say(`BROKEN at row ${broken.seq}${broken.id === null ? '' : `, ${broken.id}`}: ${broken.reason}.`);
      say(
        count > 0
          ? `The ${count} rows before it hold.`
          : 'Either that, or DATA_KEY is not the one it was written under.',
      );
      return 1;
    }
    if (id !== undefined && !(await rows.existsBy({ id, hash: hash ?? '' }))) {
      say(
        `BROKEN: ${id} is not in the trail with that hash: it was changed, or removed (by retention, if it was old).`,
      );
      return 1;
    }
    say(`The chain holds: ${count} rows.${head ? ` Head ${head.id}:${head.hash}` : ''}`);
    return 0;
  } finally {
    await source.destroy();
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(
      `The audit trail could not be verified: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    process.exit(2);
  },
);
