import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { SecretFinder } from './logged-secrets.js';
import { RECORDS } from './recorder.js';

const MAX_SHOWN = 20;

/**
 * Fails the run when any log of any server that it started holds a secret that any test used.
 *
 * Servers log everything there is to log, into a folder of the run; clients and helpers record the secrets they send and
 * receive there. When the tests are over, every line is searched for every secret.
 */
export default function setup({ vitest }: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'herald-records-'));
  process.env[RECORDS] = folder;
  return () => {
    try {
      // One file, or tests chosen by name, may do without a server; of two files that test over the wire, one has one.
      const overTheWire = vitest.state
        .getTestModules()
        .filter(
          ({ moduleId, children }) => moduleId.endsWith('.e2e-spec.ts') && !children.allTests('passed').next().done,
        );
      auditLogs(folder, overTheWire.length > 1);
    } catch (error) {
      // Of an error here Vitest only says that there was one.
      process.exitCode = 1;
      throw error;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/**
 * Searches the records of a run.
 *
 * @param hadServers - whether there must have been servers and secrets.
 * @throws Error that shows the lines, the secrets masked, or says that there was nothing to search.
 */
function auditLogs(folder: string, hadServers: boolean): void {
  const files = readdirSync(folder);
  const read = (end: string) =>
    files.filter((name) => name.endsWith(end)).map((name) => readFileSync(join(folder, name), 'utf8'));
  const starts = read('.starts').join('').length;
  if (starts === 0 && !hadServers) return;
  const secrets = read('.secrets').flatMap((text) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as string),
  );
  const finder = new SecretFinder(secrets);
  let lines = 0;
  const leaks = read('.log').flatMap((log) => {
    lines += log.split('\n').length - 1;
    return finder.search(log);
  });
  // A test chosen by name may have used no secret.
  if (lines < starts || (hadServers && finder.count === 0)) {
    throw new Error(`the logs prove nothing: ${starts} servers, ${lines} lines, ${finder.count} secrets`);
  }
  if (leaks.length === 0) return;
  const shown = leaks.slice(0, MAX_SHOWN).map(({ line }) => `  ${line}`);
  throw new Error(`${leaks.length} lines of the servers' logs hold a secret that a test used:\n${shown.join('\n')}`);
}
