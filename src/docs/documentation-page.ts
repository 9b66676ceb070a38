import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** What the page may load, and nothing else: its own origin's files and data, and pictures inside of the style sheet. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** A file that the page loads. */
export interface Asset {
  mediaType: string;
  bytes: Buffer;
}

const START = `SwaggerUIBundle({
  url: '/docs',
  dom_id: '#ui',
  deepLinking: true,
  displayOperationId: true,
  // The service itself sees to it that the document is valid.
  validatorUrl: null,
});
`;

/** Reads the files of the page: those of Swagger UI that it needs, and the script that starts it. */
export function readAssets(): ReadonlyMap<string, Asset> {
  const require = createRequire(import.meta.url);
  const read = (name: string) => readFileSync(require.resolve(`swagger-ui-dist/${name}`));
  return new Map([
    ['swagger-ui.css', { mediaType: 'text/css; charset=utf-8', bytes: read('swagger-ui.css') }],
    ['swagger-ui-bundle.js', { mediaType: 'text/javascript; charset=utf-8', bytes: read('swagger-ui-bundle.js') }],
    ['start.js', { mediaType: 'text/javascript; charset=utf-8', bytes: Buffer.from(START) }],
  ]);
}

/** Returns what stands for the contents of files in their paths, so that a browser may keep each for ever. */
export function versionOf(assets: ReadonlyMap<string, Asset>): string {
  const hash = createHash('sha256');
  for (const { bytes } of assets.values()) hash.update(bytes);
  return hash.digest('hex').slice(0, 16);
}

/** Renders the page. */
export function renderPage(version: string): string {
  const folder = `/docs/html/${version}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Herald: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${folder}/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="${folder}/swagger-ui-bundle.js"></script>
<script src="${folder}/start.js"></script>
</body>
</html>
`;
}
