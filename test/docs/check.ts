import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../../src/app.setup.js';
import { loadConfig } from '../../src/config/config.js';
import { Documents } from '../../src/docs/documents.service.js';
import { shipped } from '../../src/extensions/shipped.js';
import { checkAsyncApi, checkOpenApi } from './document-checks.js';

/** Checks both documents of this build with every shipped extension; the process fails when there is anything to say. */
const folder = mkdtempSync(join(tmpdir(), 'herald-'));
process.env['SLACK_WEBHOOK_URL'] = 'https://hooks.example.com/services/1';
const environment = {
  NODE_ENV: 'test',
  LOG_LEVEL: 'silent',
  DATABASE_URL: `sqlite:${join(folder, 'herald.sqlite')}`,
  HERALD_EXTENSIONS: [...shipped.keys()].join(','),
};
// Built, but not started: it listens on no port.
const app = await createApp(loadConfig(environment));
const { openApi, asyncApi } = app.get(Documents);
await app.close();
rmSync(folder, { recursive: true });

const problems = [
  ...(await checkOpenApi(openApi)).map((problem) => `/docs ${problem}`),
  ...(await checkAsyncApi(asyncApi)).map((problem) => `/docs/asyncapi.json ${problem}`),
];
process.stdout.write(problems.length === 0 ? 'Both documents are valid.\n' : `${problems.join('\n')}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
