import { existsSync, readFileSync } from 'node:fs';

/** Herald's own version. */
export const HERALD_VERSION = readVersion();

function readVersion(): string {
  // Beside the sources package.json is two folders up, in the build three.
  const file = ['../../package.json', '../../../package.json']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url));
  if (!file) throw new Error('The package.json of Herald is missing: deploy it beside dist/.');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
