import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { gzipSync } from 'node:zlib';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** One file of the page, as it is sent. */
export interface PageFile {
  type: string;
  etag: string;
  body: Buffer;
  gzipped: Buffer;
}

/**
 * Reads every file of the built page into memory, by its path below `/console/`; nothing when there is no build.
 *
 * What is not in here cannot be asked for, whatever a path looks like.
 */
export function readPageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  // Seen from the build, and from the sources.
  const folder = ['../../console/', '../../dist/console/']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(new URL('index.html', url)));
  if (!folder) return files;
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const type = TYPES[extname(path)];
    if (type === undefined) continue;
    const body = readFileSync(new URL(path, folder));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    files.set(path, { type, etag, body, gzipped: gzipSync(body, { level: 9 }) });
  }
  return files;
}
