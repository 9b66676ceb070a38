import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { deadLinks, pages } from './pages.js';

/** Every word in capitals of the code: variables of Herald, of its tests and of its extensions, codes of errors. */
function knownNames(): Set<string> {
  const code = execFileSync(
    'git',
    ['grep', '-hoE', '--untracked', '\\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\\b', '--', 'src', 'test'],
    {
      encoding: 'utf8',
    },
  );
  return new Set(code.split('\n'));
}

describe('the documentation', () => {
  const all = pages();

  it('is there', () => {
    const files = all.map(({ file }) => file);
    const names = [
      'getting-started',
      'configuration',
      'events',
      'realtime',
      'webhooks',
      'jobs',
      'extensions',
      'security',
    ];
    for (const name of [...names, 'operations', 'performance', 'architecture']) {
      expect(files).toContain(`docs/${name}.md`);
    }
  });

  it('finds a link that leads nowhere', () => {
    const text = '[a](docs/nowhere.md) [b](docs/events.md#nothing) [c](#here) [d](docs/events.md#filters)\n# Here\n';
    expect(deadLinks({ file: 'README.md', text, prose: text })).toEqual([
      'README.md: docs/nowhere.md',
      'README.md: docs/events.md#nothing (no such heading)',
    ]);
  });

  it('has no link that leads nowhere', () => {
    expect(all.flatMap(deadLinks)).toEqual([]);
  });

  it('is reached from the README, page by page', () => {
    const reached = new Set(['README.md']);
    for (const file of reached) {
      const page = all.find((one) => one.file === file);
      for (const [, path = ''] of page?.prose.matchAll(/\]\(([^()\s#:]+\.md)/g) ?? []) {
        reached.add(new URL(path, `file:///${file}`).pathname.slice(1));
      }
    }
    expect(all.map(({ file }) => file).filter((file) => !reached.has(file))).toEqual([]);
  });

  it('names only files that exist', () => {
    const missing = all.flatMap(({ file, text }) =>
      [...text.matchAll(/`((?:src|test|docs|deploy)\/[\w./-]+\.\w+)`/g)]
        .map(([, path = '']) => path)
        .filter((path) => !existsSync(path))
        .map((path) => `${file}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('names only scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    const known = new Set([...Object.keys(scripts), 'ci', 'install', 'pack', 'prune']);
    const missing = all.flatMap(({ file, text }) =>
      [...text.matchAll(/\bnpm (?:run )?([a-z][\w:-]*)/g)]
        .map(([, name = '']) => name)
        .filter((name) => !known.has(name))
        .map((name) => `${file}: npm run ${name}`),
    );
    expect(missing).toEqual([]);
  });

  it('names only variables and codes that exist', () => {
    const known = knownNames();
    const missing = all.flatMap(({ file, text }) =>
      [...text.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)]
        .map(([, name = '']) => name)
        .filter((name) => !known.has(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(missing).toEqual([]);
  });
});
