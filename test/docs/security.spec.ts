import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** The names of tests that a table row gives: `file` › title; › title of the same file. */
function* testsNamedIn(row: string): Generator<{ file: string; title: string }> {
  let file = '';
  for (const part of row.split(/;|\|/)) {
    const named = /`([\w./-]+\.(?:e2e-)?spec\.ts)`/.exec(part)?.[1];
    if (named !== undefined) file = named.includes('/') ? named : `test/e2e/${named}`;
    const title = /› ([^›]+?)(?: \([^()]*\))?\s*$/.exec(part)?.[1];
    if (title !== undefined) yield { file, title: title.replaceAll('`', '').trim() };
  }
}

describe('docs/security.md', () => {
  const text = readFileSync('docs/security.md', 'utf8');
  const rows = text.split('\n').filter((line) => /^\| \d+\.\d+\.\d+ \|/.test(line));

  it('counts its lines right', () => {
    const count = (status: string) => rows.filter((row) => row.includes(` | ${status} | `)).length;
    const said = /Of (\d+) lines (\d+) are met, (\d+) are not, (\d+) do not apply/.exec(text)?.slice(1).map(Number);
    expect(said).toEqual([rows.length, count('Met'), count('Not met'), count('Does not apply')]);
  });

  it('names only tests and files that exist', () => {
    const missing: string[] = [];
    let tests = 0;
    for (const row of rows) {
      for (const { file, title } of testsNamedIn(row)) {
        tests += 1;
        if (!existsSync(file) || !readFileSync(file, 'utf8').includes(title)) missing.push(`${file} › ${title}`);
      }
      for (const [, file = ''] of row.matchAll(/`((?:src|test)\/[\w./-]+\.ts)`/g)) {
        if (!existsSync(file)) missing.push(file);
      }
      for (const [, file = ''] of row.matchAll(/`([\w-]+\.e2e-spec\.ts)`/g)) {
        if (!existsSync(`test/e2e/${file}`)) missing.push(file);
      }
    }
    expect(tests).toBeGreaterThan(40);
    expect(missing).toEqual([]);
  });
});
